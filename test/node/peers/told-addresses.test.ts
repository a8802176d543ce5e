import { describe, expect, test } from 'vitest';
import { QuorateError } from '../../../src/base/errors.js';
import { NodeId } from '../../../src/base/ids.js';
import { ToldAddresses } from '../../../src/node/peers/told-addresses.js';
import type { PeersOptions } from '../../../src/node/peers/peers.js';
import { encodePeerFrame } from '../../../src/rpc/peer-codec.js';
import { address, Bench } from './peers-bench.js';

const nobodyKnown: Pick<PeersOptions, 'addressOf'> = { addressOf: () => undefined };
const strangerAddress = 'node-9:7100';

/** A machine that listens, says as `id` that it does, and counts who dials it. */
class Stranger {
  dialled = 0;

  static async saysHello(bench: Bench, to: number, id: number): Promise<Stranger> {
    const stranger = new Stranger();
    const network = bench.stranger();
    const hello = {
      type: 'hello',
      clusterId: 'c-1',
      nodeId: NodeId(id),
      storeId: 'store-9',
      peerAddress: strangerAddress,
      protocolMin: 1,
      protocolMax: 1,
    } as const;
    const nothing = { onFrame: (): void => undefined, onClose: (): void => undefined };
    const listening = network.listen(strangerAddress, (connection) => {
      stranger.dialled++;
      connection.start({ ...nothing, onFrame: () => connection.send(encodePeerFrame(hello)) });
    });
    await bench.scheduler.complete(listening, bench.scheduler.nowMs + 100);
    const connection = network.connect(address(to));
    connection.start(nothing);
    connection.send(encodePeerFrame(hello));
    await bench.run(100);
    return stranger;
  }
}

describe('a node of which neither the registry nor the configuration says where it listens', () => {
  test('is answered where it says itself that it does', async () => {
    const bench = new Bench();
    const first = await bench.node(1, nobodyKnown);
    const second = await bench.node(2);
    first.sendRaft(NodeId(2), []);
    await bench.run(1000);
    expect(await bench.reaches(first, 2)).toBe(false);
    second.connect(NodeId(1));
    await bench.run(500);
    expect(await bench.reaches(first, 2)).toBe(true);
  });

  test('is dialled where another node says that it does', async () => {
    const bench = new Bench();
    const first = await bench.node(1, nobodyKnown);
    await bench.node(2);
    first.told(NodeId(2), address(2));
    first.connect(NodeId(2));
    await bench.run(500);
    expect(await bench.reaches(first, 2)).toBe(true);
  });

  test('may come with another directory, as long as no address of it is known', async () => {
    const bench = new Bench();
    await bench.node(1, nobodyKnown);
    const second = await bench.node(2);
    second.connect(NodeId(1));
    await bench.run(100);
    bench.processes.get(2)?.kill();
    const wiped = await bench.node(2, { storeId: 'store-new' });
    wiped.connect(NodeId(1));
    await bench.run(1000);
    expect(await bench.reaches(wiped, 1)).toBe(true);
    expect(bench.refused).toEqual([]);
  });

  test('is looked for no more once it was removed', async () => {
    const bench = new Bench();
    let isRetired = false;
    const storeFault = (): QuorateError | undefined =>
      isRetired ? new QuorateError('NODE_RETIRED', 'it was removed') : undefined;
    const first = await bench.node(1, { ...nobodyKnown, storeFault });
    const stranger = await Stranger.saysHello(bench, 1, 2);
    first.connect(NodeId(2));
    await bench.run(500);
    expect(stranger.dialled).toBe(1);
    isRetired = true;
    await bench.run(10_000);
    expect(first.isReachable(NodeId(2))).toBe(false);
    expect(stranger.dialled).toBe(1);
  });
});

describe('who forges the hello of a node that is known', () => {
  test.each([
    ['draws nothing to himself that is for that node', false],
    ['gets nothing while that node is down either', true],
  ])('%s', async (_what, isDown) => {
    const bench = new Bench();
    // He knows its directory, too.
    const first = await bench.node(1, { storeFault: () => undefined });
    await bench.node(2);
    if (isDown) bench.processes.get(2)?.kill();
    const stranger = await Stranger.saysHello(bench, 1, 2);
    first.told(NodeId(2), strangerAddress);
    first.connect(NodeId(2));
    await bench.run(5000);
    expect(await bench.reaches(first, 2)).toBe(!isDown);
    expect(stranger.dialled).toBe(0);
  });
});

describe('told addresses', () => {
  const told = (text: string): { address: string; storeId: undefined } => ({ address: text, storeId: undefined });

  test('are the newest, and none that is no address', () => {
    const addresses = new ToldAddresses();
    addresses.learn(NodeId(2), told('a:1'));
    addresses.learn(NodeId(2), told('b:2'));
    for (const text of ['', 'b', 'b:0', 'b:70000', 'b 2:2']) addresses.learn(NodeId(2), told(text));
    expect(addresses.of(NodeId(2))?.address).toBe('b:2');
  });

  test('are 64 at most, the newest of them', () => {
    const addresses = new ToldAddresses();
    for (let id = 1; id <= 64; id++) addresses.learn(NodeId(id), told('a:1'));
    addresses.learn(NodeId(1), told('b:1'));
    addresses.learn(NodeId(65), told('a:1'));
    const known = [1, 2, 3, 65].filter((id) => addresses.of(NodeId(id)) !== undefined);
    expect(known).toEqual([1, 3, 65]);
  });
});
