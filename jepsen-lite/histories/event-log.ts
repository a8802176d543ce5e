import { isDeepStrictEqual } from 'node:util';
import { HistoryRecorder, type OpenOperation, type Operation } from '../checker/check.js';
import type { EdnValue } from './edn.js';

/** A recorded history that cannot be read. `line` counts from 1; the message does not repeat it. */
export class HistoryFormatError extends Error {
  override readonly name = 'HistoryFormatError';
  readonly line: number;

  constructor(line: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.line = line;
  }
}

/** One line of a Jepsen history: process `process` began (`invoke`) or ended an operation. */
export interface Event {
  readonly process: number;
  /** `ok`: took effect. `fail`: did not. `info`: nobody knows, for instance after a timeout. */
  readonly type: 'invoke' | 'ok' | 'fail' | 'info';
  /** The name of the function, such as `read`. */
  readonly f: string;
  readonly key?: string;
  readonly value: EdnValue;
}

/** What a format makes of its events. Functions throw an Error with a message for people if a value makes no sense. */
export interface EventMeaning<Input, Output> {
  /** The function that is answered with what it read. All others end with the value that they were invoked with. */
  readonly reads: string;
  input(invoked: Event): Input;
  /**
   * The answer that an `ok` or `fail` event brought; `notApplied` if the operation has no place in the history,
   * since it did nothing and told nothing.
   */
  output(ended: Event): Output | 'notApplied';
}

/** Pairs the events of each process to operations. The place of an event in the log is its time. */
class EventLog<Input, Output> {
  readonly #meaning: EventMeaning<Input, Output>;
  readonly #recorder: HistoryRecorder<Input, Output>;
  readonly #openByProcess = new Map<number, { handle: OpenOperation; invoked: Event }>();
  #events = 0;

  constructor(meaning: EventMeaning<Input, Output>) {
    this.#meaning = meaning;
    this.#recorder = new HistoryRecorder({ now: () => this.#events });
  }

  get events(): number {
    return this.#events;
  }

  /** @throws Error if the event does not follow from those before, or its value makes no sense. */
  add(event: Event): void {
    this.#events++;
    const { process } = event;
    const open = this.#openByProcess.get(process);
    if (event.type === 'invoke') {
      if (open !== undefined) throw new Error(`process ${process} invokes before its last operation ended`);
      const place = event.key === undefined ? { client: process } : { client: process, key: event.key };
      const handle = this.#recorder.call({ ...place, input: this.#meaning.input(event) });
      this.#openByProcess.set(process, { handle, invoked: event });
      return;
    }
    if (open === undefined) throw new Error(`process ${process} ends an operation that it did not invoke`);
    const { invoked, handle } = open;
    if (invoked.f !== event.f || invoked.key !== event.key) {
      throw new Error(`process ${process} invoked ${nameOf(invoked)} but ends ${nameOf(event)}`);
    }
    if (event.f !== this.#meaning.reads && !repeatsValue(event, invoked)) {
      throw new Error(`process ${process} ends ${nameOf(event)} with another value than it invoked it with`);
    }
    this.#openByProcess.delete(process);
    if (event.type === 'info') {
      this.#recorder.unknown(handle);
      return;
    }
    const output = this.#meaning.output(event);
    if (output === 'notApplied') this.#recorder.notApplied(handle);
    else this.#recorder.return(handle, output);
  }

  /** The history; operations that did not end have an unknown outcome. */
  history(): Operation<Input, Output>[] {
    return this.#recorder.history();
  }
}

const nameOf = (event: Event): string => (event.key === undefined ? event.f : `${event.f} of key ${event.key}`);

/** Where `ended` is not `ok` it may have a reason in the place of the value, which is a keyword, or nothing. */
function repeatsValue(ended: Event, invoked: Event): boolean {
  const { type, value } = ended;
  const isReason = value === null || (typeof value === 'object' && 'keyword' in value);
  return (type !== 'ok' && isReason) || isDeepStrictEqual(value, invoked.value);
}

/**
 * Reads a log with an event per line.
 *
 * @param parseLine the event on a line; undefined for a line that is none.
 * @throws HistoryFormatError at the line that is wrong; at the first if there is no event at all: a log in another
 *   format must not pass as an empty history.
 */
export function readEventLog<Input, Output>(
  text: string,
  parseLine: (line: string) => Event | undefined,
  meaning: EventMeaning<Input, Output>,
): Operation<Input, Output>[] {
  const log = new EventLog(meaning);
  text.split('\n').forEach((line, index) => {
    try {
      const event = parseLine(line.trimEnd());
      if (event !== undefined) log.add(event);
    } catch (error) {
      throw new HistoryFormatError(index + 1, error instanceof Error ? error.message : String(error), { cause: error });
    }
  });
  if (log.events === 0) throw new HistoryFormatError(1, 'no event in the whole file');
  return log.history();
}

const eventTypes: readonly string[] = ['invoke', 'ok', 'fail', 'info'] satisfies Event['type'][];

/** @throws Error unless `text` names the type of an event. */
export function requireEventType(text: string): Event['type'] {
  if (!eventTypes.includes(text)) throw new Error(`:${text} is none of :${eventTypes.join(', :')}`);
  return text as Event['type'];
}
