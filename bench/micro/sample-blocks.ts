/** Blocks as tables have them, of several kinds of values; the same in every run. */
import { utf8 } from '../../src/base/bytes.js';
import { ByteWriter } from '../../src/base/coding.js';
import { Prng } from '../../src/base/prng.js';
import { kindPut } from '../../src/lsm/entry.js';
import { BlockWriter } from '../../src/lsm/sstable/block-writer.js';

const cities = ['Berlin', 'Lagos', 'Lima', 'Osaka', 'Paris', 'Zurich'];
const names = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'];

/** By the kind of value, from what compresses best to what does not compress. */
export const valueKinds: Readonly<Record<string, (random: Prng) => Uint8Array>> = {
  'JSON documents': (random) =>
    utf8(
      JSON.stringify({
        id: random.int(0, 1e9),
        name: random.pick(names),
        city: random.pick(cities),
        balance: random.int(0, 1e8) / 100,
        created: `2026-${random.int(10, 12)}-${random.int(10, 28)}T10:${random.int(10, 59)}:00Z`,
        tags: [random.pick(names), random.pick(cities)],
        active: random.chance(0.5),
      }),
    ),
  'binary records': (random) => {
    const writer = new ByteWriter();
    for (let field = 0; field < 25; field++) writer.u32(random.int(0, field % 2 === 0 ? 200 : 65_536));
    return writer.finish();
  },
  'random bytes': (random) => random.bytes(256),
};

export function sampleBlocks(kind: string, blockBytes: number, count: number): Uint8Array[] {
  const random = new Prng(1);
  const writer = new BlockWriter();
  let key = 0;
  return Array.from({ length: count }, () => {
    while (writer.length < blockBytes) {
      writer.add(utf8(`account/${String(key++).padStart(8, '0')}`), 5e14 + key, kindPut, valueKinds[kind](random));
    }
    return writer.finish().slice();
  });
}
