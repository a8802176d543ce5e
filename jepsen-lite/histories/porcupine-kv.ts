/**
 * The key-value histories of porcupine (github.com/anishathalye/porcupine, test_data/kv): a map a line,
 * `{:process 0, :type :invoke, :f :append, :key "0", :value "x"}`, with f one of get, put, append.
 * The value of a get is nil when invoked and what was read when ok; others repeat theirs.
 */
import type { AppendStringInput, AppendStringOutput, Operation } from '../checker/check.js';
import { parseEdn, type EdnValue } from './edn.js';
import { readEventLog, requireEventType, type Event, type EventMeaning } from './event-log.js';

/** @throws HistoryFormatError with the line that is wrong. */
export function readPorcupineKv(text: string): Operation<AppendStringInput, AppendStringOutput>[] {
  return readEventLog(text, parseLine, meaning);
}

function parseLine(line: string): Event | undefined {
  if (line === '') return undefined;
  const fields = parseEdn(line);
  if (!(fields instanceof Map)) throw new Error('expected a map, { … }');
  const event = fields as ReadonlyMap<string, EdnValue>;
  const process = event.get('process');
  if (typeof process !== 'number') throw new Error(':process is not a number');
  return {
    process,
    type: requireEventType(keyword(event, 'type')),
    f: keyword(event, 'f'),
    key: requireString(event.get('key'), ':key'),
    value: event.get('value') ?? null,
  };
}

const meaning: EventMeaning<AppendStringInput, AppendStringOutput> = {
  reads: 'get',
  input: ({ f, value }) => {
    switch (f) {
      case 'get':
        return { type: 'get' };
      case 'put':
      case 'append':
        return { type: f, value: requireString(value, ':value') };
      default:
        throw new Error(`:f :${f} is none of :get, :put, :append`);
    }
  },
  output: ({ type, f, value }) => {
    if (type === 'fail') return 'notApplied';
    return f === 'get' ? { type: 'value', value: requireString(value, ':value') } : { type: 'done' };
  },
};

function keyword(event: ReadonlyMap<string, EdnValue>, name: string): string {
  const value = event.get(name);
  if (value === null || typeof value !== 'object' || !('keyword' in value)) throw new Error(`:${name} is no keyword`);
  return value.keyword;
}

function requireString(value: EdnValue | undefined, what: string): string {
  if (typeof value !== 'string') throw new Error(`${what} is not a string`);
  return value;
}
