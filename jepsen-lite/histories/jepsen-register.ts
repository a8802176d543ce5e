/**
 * The log of a Jepsen test of one compare-and-set register, as jepsen.util writes it: the process, the type, the
 * function and the value, separated by tabs, after a prefix that ends in `jepsen.util - `:
 *
 *     INFO  jepsen.util - 2  :invoke  :cas  [3 0]
 *
 * The register is nil at first. An `:ok` of a write or cas repeats its value. A `:fail` of a cas that repeats its
 * values tells that the register had another one than expected, so it is an answer like others; any other `:fail`
 * (such as `:fail :read :timed-out`) did nothing. Lines of other loggers and of processes that are no clients
 * (`:nemesis`) are skipped.
 */
import type { Operation, RegisterInput, RegisterOutput } from '../checker/check.js';
import { parseEdn, type EdnValue } from './edn.js';
import { readEventLog, requireEventType, type Event, type EventMeaning } from './event-log.js';

/** @throws HistoryFormatError with the line that is wrong. */
export function readJepsenRegister(text: string): Operation<RegisterInput, RegisterOutput>[] {
  return readEventLog(text, parseLine, meaning);
}

const historyLine = /\bjepsen\.util - (.*)$/;
const clientEvent = /^(\d+)\s+:(\w+)\s+:(\w+)\s+(.*)$/;
const otherProcess = /^:\w+\s/;

function parseLine(line: string): Event | undefined {
  const logged = historyLine.exec(line);
  if (logged === null || otherProcess.test(logged[1])) return undefined;
  const fields = clientEvent.exec(logged[1]);
  if (fields === null) throw new Error('expected a process, :type, :function and value after "jepsen.util - "');
  const [, process, type, f, value] = fields;
  return { process: Number(process), type: requireEventType(type), f, value: parseEdn(value) };
}

const meaning: EventMeaning<RegisterInput, RegisterOutput> = {
  reads: 'read',
  input: ({ f, value }) => {
    switch (f) {
      case 'read':
        return { type: 'read' };
      case 'write':
        return { type: 'write', value: requireNumber(value) };
      case 'cas': {
        if (!Array.isArray(value) || value.length !== 2) throw new Error('the value of a cas is not [old new]');
        const [expected, next] = value as readonly EdnValue[];
        return { type: 'cas', expected: requireNumber(expected), value: requireNumber(next) };
      }
      default:
        throw new Error(`:${f} is none of :read, :write, :cas`);
    }
  },
  output: ({ type, f, value }) => {
    if (type === 'fail') return f === 'cas' && Array.isArray(value) ? { type: 'refused' } : 'notApplied';
    if (f !== 'read') return { type: 'done' };
    return { type: 'value', value: value === null ? null : requireNumber(value) };
  },
};

/** Register values are numbers in the log and text in the model. */
function requireNumber(value: EdnValue): string {
  if (typeof value !== 'number') throw new Error('the value of the register is not a number');
  return String(value);
}
