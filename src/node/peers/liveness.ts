import type { Connection } from '../../env/network.js';
import type { RaftTiming } from '../options.js';

/**
 * Whether the other side of a connection is still there. TCP by itself finds a cut line only when it gives up sending,
 * after many seconds, and on an idle connection never. So either side says something when it was quiet for a while, and
 * gives the connection up when nothing came for longer than any election takes to begin.
 *
 * Ticks that really ran are counted, not time: a process that was paused first reads what arrived meanwhile. Bytes are,
 * not frames: a large frame on a slow line is a sign of life long before it is complete.
 */
export class Liveness {
  readonly #connection: Connection;
  readonly #quietTicksMax: number;
  readonly #silentTicksMax: number;
  /** Since something was sent. */
  #quietTicks = 0;
  /** Since something came. */
  #silentTicks = 0;
  #receivedBytes = 0;

  constructor(connection: Connection, timing: RaftTiming) {
    this.#connection = connection;
    this.#quietTicksMax = timing.electionTicksMin;
    this.#silentTicksMax = 2 * timing.electionTicksMax;
  }

  sent(): void {
    this.#quietTicks = 0;
  }

  /** `speak`: it is time to send something. `dead`: it is time to close. */
  tick(): 'fine' | 'speak' | 'dead' {
    const { receivedBytes } = this.#connection;
    this.#silentTicks = receivedBytes === this.#receivedBytes ? this.#silentTicks + 1 : 0;
    this.#receivedBytes = receivedBytes;
    if (this.#silentTicks >= this.#silentTicksMax) return 'dead';
    return ++this.#quietTicks >= this.#quietTicksMax ? 'speak' : 'fine';
  }
}
