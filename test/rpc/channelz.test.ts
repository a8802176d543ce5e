/** grpc-js keeps statistics of every call for `channelz`, which nobody looks at, unless it is told not to. */
import { Client, credentials, getChannelzHandlers, type sendUnaryData } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { openChannel } from '../../src/client/channel.js';
import { startServer } from './harness.js';

type Handler = (call: { readonly request: object }, done: sendUnaryData<Record<string, readonly unknown[]>>) => void;

/** How many `GetServers` or `GetTopChannels` tells of. */
function watched(method: 'GetServers' | 'GetTopChannels'): number {
  const handler = getChannelzHandlers()[method] as unknown as Handler;
  let count = -1;
  const request = { start_server_id: '0', start_channel_id: '0', max_results: '0' };
  handler({ request }, (_, page) => (count = page?.[method === 'GetServers' ? 'server' : 'channel'].length ?? -1));
  return count;
}

test('neither servers nor channels are watched', async () => {
  await using server = await startServer();
  const channel = openChannel(server.address);
  expect([watched('GetServers'), watched('GetTopChannels')]).toEqual([0, 0]);
  channel.close();
  const usual = new Client(server.address, credentials.createInsecure());
  expect(watched('GetTopChannels')).toBe(1);
  usual.close();
});
