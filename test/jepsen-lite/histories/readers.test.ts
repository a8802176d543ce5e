import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HistoryFormatError } from '../../../jepsen-lite/histories/event-log.js';
import { readJepsenRegister } from '../../../jepsen-lite/histories/jepsen-register.js';
import { readPorcupineKv } from '../../../jepsen-lite/histories/porcupine-kv.js';

const testdata = (file: string): string => readFileSync(join(import.meta.dirname, 'testdata', file), 'utf8');

/** One operation to a line, so that a golden file reads well; undefined is written as null. */
function golden(history: readonly object[]): string {
  const nullFor = (_: string, value: unknown): unknown => (value === undefined ? null : value);
  return history.map((operation) => `${JSON.stringify(operation, nullFor)}\n`).join('');
}

describe('golden histories', () => {
  test('porcupine-kv', async () => {
    await expect(golden(readPorcupineKv(testdata('kv.txt')))).toMatchFileSnapshot('testdata/kv.golden');
  });

  test('jepsen-register', async () => {
    const history = readJepsenRegister(testdata('register.txt'));
    await expect(golden(history)).toMatchFileSnapshot('testdata/register.golden');
  });
});

const anotherValue = 'with another value than it invoked it with';

/** Each lets `read` fail at its last line. */
function expectRefusal(read: (text: string) => unknown, lines: readonly string[], message: string): void {
  const refusal = (): unknown => read(lines.join('\n'));
  expect(refusal).toThrow(HistoryFormatError);
  expect(refusal).toThrow(expect.objectContaining({ line: lines.length }));
  expect(refusal).toThrow(message);
}

describe('porcupine-kv refuses', () => {
  const invoke = '{:process 0, :type :invoke, :f :get, :key "1", :value nil}';
  const append = '{:process 0, :type :invoke, :f :append, :key "1", :value "x"}';
  const put = append.replace(':append', ':put');
  test.each<[name: string, lines: string[], message: string]>([
    ['what is not EDN', [invoke, 'hello'], 'column 1: expected a value, found hello'],
    ['what is not a map', ['[1]'], 'expected a map'],
    ['an event without process', ['{:type :invoke, :f :get, :key "1"}'], ':process is not a number'],
    ['an event without type', ['{:process 0, :f :get, :key "1"}'], ':type is no keyword'],
    ['an unknown type', ['{:process 0, :type :maybe, :f :get, :key "1"}'], ':maybe is none of :invoke'],
    ['an unknown function', ['{:process 0, :type :invoke, :f :cas, :key "1"}'], ':f :cas is none of :get, :put'],
    ['an append of nothing', ['{:process 0, :type :invoke, :f :append, :key "1"}'], ':value is not a string'],
    ['a key that is no string', ['{:process 0, :type :invoke, :f :get, :key 1}'], ':key is not a string'],
    ['a second invocation', [invoke, invoke], 'process 0 invokes before its last operation ended'],
    ['an end without beginning', [invoke.replace(':invoke', ':ok')], 'ends an operation that it did not invoke'],
    [
      'an end of something else',
      [invoke, invoke.replace(':invoke', ':ok').replace('"1"', '"2"')],
      'process 0 invoked get of key 1 but ends get of key 2',
    ],
    ['an append of something else', [append, append.replace(':invoke', ':ok').replace('"x"', '"y"')], anotherValue],
    [
      'an append of nothing that is said to be ok',
      [append, '{:process 0, :type :ok, :f :append, :key "1"}'],
      anotherValue,
    ],
    ['a failed put of something else', [put, put.replace(':invoke', ':fail').replace('"x"', '""')], anotherValue],
    ['an answer to a get that is none', [invoke, invoke.replace(':invoke', ':ok')], ':value is not a string'],
    ['an empty file', [''], 'no event'],
  ])('%s', (_, lines, message) => {
    expectRefusal(readPorcupineKv, lines, message);
  });
});

test('what failed or is unknown may end with a reason, or with nothing', () => {
  const append = '{:process 0, :type :invoke, :f :append, :key "1", :value "x"}';
  const end = (type: string, more: string): string => `{:process 0, :type :${type}, :f :append, :key "1"${more}}`;
  const ends = [
    end('fail', ''),
    end('fail', ', :value :refused'),
    end('info', ', :value nil'),
    end('info', ', :value :lost'),
  ];
  const history = readPorcupineKv(ends.flatMap((ended) => [append, ended]).join('\n'));
  expect(history).toHaveLength(2);
});

describe('jepsen-register refuses', () => {
  const line = (text: string): string => `INFO  jepsen.util - ${text}`;
  test.each<[name: string, lines: string[], message: string]>([
    ['a line of the history that it cannot read', [line('0 invoke read')], 'expected a process, :type, :function'],
    ['an unknown function', [line('0\t:invoke\t:add\t1')], ':add is none of :read, :write, :cas'],
    ['an unknown type', [line('0\t:began\t:read\tnil')], ':began is none of'],
    ['a write of nothing', [line('0\t:invoke\t:write\tnil')], 'not a number'],
    ['a cas of one value', [line('0\t:invoke\t:cas\t[1]')], 'the value of a cas is not [old new]'],
    ['a write of something else', [line('0\t:invoke\t:write\t1'), line('0\t:ok\t:write\t2')], anotherValue],
    ['a reason why a write is ok', [line('0\t:invoke\t:write\t1'), line('0\t:ok\t:write\t:timed-out')], anotherValue],
    ['a cas of something else', [line('0\t:invoke\t:cas\t[1 2]'), line('0\t:ok\t:cas\t[1 3]')], anotherValue],
    [
      'a cas of something else that failed',
      [line('0\t:invoke\t:cas\t[1 2]'), line('0\t:fail\t:cas\t[2 1]')],
      anotherValue,
    ],
    ['an unknown write of something else', [line('0\t:invoke\t:write\t1'), line('0\t:info\t:write\t2')], anotherValue],
    ['a log without history', ['INFO  jepsen.core - hello'], 'no event'],
  ])('%s', (_, lines, message) => {
    expectRefusal(readJepsenRegister, lines, message);
  });

  test('a log without history at its first line', () => {
    const refusal = (): unknown => readJepsenRegister('hello\nhello\n');
    expect(refusal).toThrow(expect.objectContaining({ line: 1 }));
  });
});
