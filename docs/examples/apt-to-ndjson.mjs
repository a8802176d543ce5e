// Turns what `apt-cache dumpavail` prints into lines for `quorate import`, sorted by key:
//
//   apt-cache dumpavail | node docs/examples/apt-to-ndjson.mjs > packages.ndjson
//
// The key is the package's name and the value its whole record. A name that comes more than once (several versions or
// architectures) gets keys of the form name=version/architecture instead. Sorted by the keys' bytes, the order of
// `quorate export`, so that an export of these records alone equals this file byte for byte.
import process from 'node:process';

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));

const records = text
  .split(/\n{2,}/)
  .map((record) => record.trim())
  .filter((record) => record.startsWith('Package: '));
const field = (record, name) => new RegExp(`^${name}: (.*)$`, 'm').exec(record)?.[1] ?? '';

const count = new Map();
for (const record of records) {
  const name = field(record, 'Package');
  count.set(name, (count.get(name) ?? 0) + 1);
}

const valueByKey = new Map();
for (const record of records) {
  const name = field(record, 'Package');
  const key = count.get(name) === 1 ? name : `${name}=${field(record, 'Version')}/${field(record, 'Architecture')}`;
  valueByKey.set(key, record);
}

const sorted = [...valueByKey].map(([key, value]) => ({ key, value, bytes: Buffer.from(key) }));
sorted.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
let lines = '';
for (const { key, value } of sorted) {
  lines += `${JSON.stringify({ key, value })}\n`;
  if (lines.length < 65_536) continue;
  process.stdout.write(lines);
  lines = '';
}
process.stdout.write(lines);
