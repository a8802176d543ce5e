import { assert } from '../base/assert.js';
import { crc32 } from '../base/checksum.js';
import type { Prng } from '../base/prng.js';
import type { Connection, ConnectionHandler } from '../env/network.js';
import { oldMs, type Link } from './link.js';
import type { SimProcess } from './process.js';
import type { Scheduler, ScheduledEvent } from './scheduler.js';

/** What travels in one direction: frames, then perhaps the end (with an error unless it is in order). */
type Parcel =
  | { readonly type: 'frame'; readonly bytes: Uint8Array; readonly sentMs: number }
  | { readonly type: 'end'; readonly error: Error | undefined };
type Frame = Extract<Parcel, { readonly type: 'frame' }>;

export interface PairOptions {
  readonly scheduler: Scheduler;
  readonly random: Prng;
  readonly breakAfterMs: number;
  /** This end is over, and nothing of it is left to arrive: links need not tell it of changes any more. */
  readonly onDone: (connection: SimConnection) => void;
  readonly client: { readonly process: SimProcess; readonly remote: string; readonly link: Link };
  readonly server: { readonly remote: string; readonly link: Link };
}

/** Both ends of a connection that is not up yet. */
export function connectPair(options: PairOptions): [client: SimConnection, server: SimConnection] {
  const client = new SimConnection(options, options.client.remote, options.client.link);
  const server = new SimConnection(options, options.server.remote, options.server.link);
  client.pairWith(server);
  server.pairWith(client);
  client.ownBy(options.client.process);
  return [client, server];
}

/**
 * One end of a connection.
 *
 * Invariants: parcels arrive in the order in which they were sent, none twice; the handler hears nothing before the
 * process that owns this end was told of the connection, and nothing after `onClose`, which it hears once.
 */
export class SimConnection implements Connection {
  readonly remote: string;
  readonly outward: Link;
  readonly #options: PairOptions;
  #peer: SimConnection | undefined;
  #process: SimProcess | undefined;
  #handler: ConnectionHandler | undefined;
  /** `connecting` keeps what is sent; `closed` sends and hands out nothing more; `over`: the handler knows. */
  #state: 'connecting' | 'open' | 'closed' | 'over' = 'connecting';
  /** Sent and not on its way: the connection is not up, or the link does not let it through. In order. */
  #waiting: Parcel[] = [];
  /** On their way, in order; the event of each delivers the first. */
  #underWay: { readonly parcel: Parcel; readonly event: ScheduledEvent }[] = [];
  #lastArrivalMs = 0;
  #breakTimer: ScheduledEvent | undefined;
  #queuedBytes = 0;
  #receivedBytes = 0;

  constructor(options: PairOptions, remote: string, outward: Link) {
    this.#options = options;
    this.remote = remote;
    this.outward = outward;
  }

  get local(): string {
    return this.outward.from;
  }

  get peerHost(): string {
    return this.outward.to;
  }

  get isConnecting(): boolean {
    return this.#state === 'connecting';
  }

  /** The process at this end; undefined until the other side is connected. */
  get owner(): SimProcess | undefined {
    return this.#process;
  }

  /** Bytes that have not reached the other process. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  start(handler: ConnectionHandler): void {
    assert(this.#handler === undefined, 'a connection is started once');
    this.#handler = handler;
  }

  send(frame: Uint8Array): void {
    if (this.#state === 'closed' || this.#state === 'over' || this.#process?.state === 'dead') return;
    this.#queuedBytes += frame.length;
    this.#post({ type: 'frame', bytes: frame, sentMs: this.#options.scheduler.nowMs });
  }

  close(): void {
    if (this.#state === 'closed' || this.#state === 'over') return;
    if (this.#state === 'connecting') this.#abandon();
    else this.#post({ type: 'end', error: undefined });
    this.#state = 'closed';
    this.#options.scheduler.schedule(0, `${this.local} closes`, () => this.#finish(undefined));
  }

  pairWith(peer: SimConnection): void {
    this.#peer = peer;
  }

  ownBy(process: SimProcess): void {
    this.#process = process;
  }

  /** The other side is there: what was sent so far leaves. */
  open(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    this.#flush();
  }

  accept(process: SimProcess, onConnection: (connection: Connection) => void): void {
    this.ownBy(process);
    this.#state = 'open';
    process.enter(() => {
      // Nobody gets what a listener had not given out when it was closed.
      if (this.#state !== 'open') return;
      onConnection(this);
      assert(this.#handler !== undefined, 'a connection is started in the turn in which it was got');
    });
  }

  /** Both ends learn, each when its process runs, that the connection is no more. What was under way is lost. */
  break(reason: string): void {
    for (const end of [this, this.#peer]) {
      if (end === undefined) continue;
      for (const { event } of end.#underWay) event.cancel();
      end.#underWay = [];
      end.#waiting = [];
      end.#checkDone();
      end.#options.scheduler.schedule(0, `${end.local} loses ${end.peerHost}`, () => end.#finish(new Error(reason)));
    }
  }

  /** The process at this end died: the operating system resets the connection; some of what was sent still arrives. */
  die(): void {
    const was = this.#state;
    this.#state = 'over';
    if (was === 'connecting') this.#abandon();
    if (was === 'open') {
      const kept = this.#options.random.int(0, this.#underWay.length);
      for (const { event } of this.#underWay.splice(kept)) event.cancel();
      this.#waiting = [];
      this.#post({ type: 'end', error: new Error('the connection was reset by the peer') });
    }
    this.#checkDone();
  }

  /** A link of this pair of hosts has changed. */
  onLinkChange(): void {
    if (this.outward.state === 'open') this.#flush();
    if (this.outward.state === 'blocked' && this.#waiting.length > 0) this.#breakSoon();
    if (!this.#isStuck()) {
      this.#breakTimer?.cancel();
      this.#breakTimer = undefined;
    }
  }

  /** The next byte of what waits arrives, as on a line that is very slow: counted as received once more with its frame. */
  trickle(): void {
    const peer = this.#peer;
    if (this.#waiting.length > 0 && peer !== undefined) peer.#process?.enter(() => peer.#receivedBytes++);
  }

  /** Most frames are fast and some are slow. */
  drawDelayMs(): number {
    const [minMs, maxMs] = this.outward.delayMs;
    return minMs + (maxMs - minMs) * this.#options.random.float() ** 4;
  }

  #post(parcel: Parcel): void {
    if (this.#state === 'connecting' || this.#waiting.length > 0) this.#waiting.push(parcel);
    else this.#dispatch(parcel);
  }

  #dispatch(parcel: Parcel): void {
    const { scheduler } = this.#options;
    const arrivalMs = Math.max(this.#lastArrivalMs, scheduler.nowMs + this.drawDelayMs());
    this.#lastArrivalMs = arrivalMs;
    const content = parcel.type === 'frame' ? `frame ${crc32(parcel.bytes)}` : 'end';
    const label = `${this.local}>${this.peerHost} ${content}`;
    const event = scheduler.schedule(arrivalMs - scheduler.nowMs, label, () => this.#arrive());
    this.#underWay.push({ parcel, event });
  }

  #arrive(): void {
    const first = this.#underWay.shift();
    assert(first !== undefined, 'every arrival has its parcel');
    assert(this.#waiting.length === 0, 'what waits is never overtaken');
    if (this.outward.state !== 'open') {
      this.#waiting = [first.parcel, ...this.#underWay.map(({ parcel }) => parcel)];
      for (const { event } of this.#underWay) event.cancel();
      this.#underWay = [];
      if (this.outward.state === 'blocked') this.#breakSoon();
      return;
    }
    // Without the way back there is no acknowledgement.
    if (this.#isStuck()) this.#breakSoon();
    const peer = this.#peer;
    assert(peer !== undefined, 'a connection has two ends');
    if (first.parcel.type === 'end') peer.#finish(first.parcel.error);
    else peer.#receive(first.parcel, this);
    this.#checkDone();
  }

  #receive({ bytes, sentMs }: Frame, sender: SimConnection): void {
    this.#process?.enter(() => {
      sender.#queuedBytes -= bytes.length;
      if (this.#state !== 'open') return;
      this.#receivedBytes += bytes.length;
      if (this.#options.scheduler.nowMs >= sentMs + oldMs) sender.outward.oldArrivals++;
      const borrowed = bytes.slice();
      this.#handler?.onFrame(borrowed);
      borrowed.fill(0xdd);
    });
  }

  #flush(): void {
    if (this.#state === 'connecting') return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const parcel of waiting) this.#dispatch(parcel);
  }

  #isStuck(): boolean {
    return this.outward.state === 'blocked' || this.#peer?.outward.state === 'blocked';
  }

  #breakSoon(): void {
    const label = `${this.local}>${this.peerHost} retransmission time-out`;
    this.#breakTimer ??= this.#options.scheduler.schedule(this.#options.breakAfterMs, label, () => {
      this.#breakTimer = undefined;
      this.break('the connection timed out');
    });
  }

  #finish(error: Error | undefined): void {
    const finish = (): void => {
      if (this.#state === 'over') return;
      this.#state = 'over';
      this.#handler?.onClose(error);
      this.#checkDone();
    };
    if (this.#process === undefined) finish();
    else this.#process.enter(finish);
  }

  /** There will be no other side. */
  #abandon(): void {
    this.#waiting = [];
    const peer = this.#peer;
    if (peer !== undefined) peer.#finish(undefined);
  }

  #checkDone(): void {
    const isDone = this.#state === 'over' && this.#waiting.length === 0 && this.#underWay.length === 0;
    if (isDone) this.#options.onDone(this);
  }
}
