import { AtomicBatchCall } from './atomic-batch-call.js';
import type { Caller } from './attempts.js';
import { RegisterCall } from './register-call.js';
import { scan } from './scan-call.js';
import { readStale } from './stale-read-call.js';
import type { Workload } from './workload.js';

const batchMax = 4;

export function startClients(workload: Workload): void {
  workload.bursts.start();
  for (let i = 0; i < workload.clients; i++) new Client(workload).think();
}

/** One thread of calls, each after the answer to the one before. */
class Client implements Caller {
  readonly session: Uint8Array;
  readonly #workload: Workload;
  #id: number;
  #nextSeq = 1;

  constructor(workload: Workload) {
    this.#workload = workload;
    this.session = workload.random.bytes(16);
    this.#id = workload.nextClient();
  }

  /** For the history; another one after an operation whose outcome stayed unknown. */
  get id(): number {
    return this.#id;
  }

  nextSeq(): number {
    return this.#nextSeq++;
  }

  think(): void {
    const { scheduler } = this.#workload.cluster;
    scheduler.schedule(this.#workload.drawThinkMs(), `client ${this.#id} thinks`, () => {
      this.#workload.bursts.whenBusy(() => this.#act());
    });
  }

  #act(): void {
    const workload = this.#workload;
    if (workload.isStopped) return;
    const next = (): void => this.think();
    switch (workload.drawAction()) {
      case 'one':
        this.#call([workload.drawKey()]);
        return;
      case 'batch':
        workload.counts.batches++;
        this.#call(workload.random.shuffle([...workload.keys]).slice(0, workload.random.int(2, batchMax)));
        return;
      case 'atomicBatch':
        new AtomicBatchCall(workload, this, this.#calls(1)).send(workload.drawNode());
        return;
      case 'scan':
        scan(workload, this.#id, 'linearizable', next);
        return;
      case 'staleScan':
        scan(workload, this.#id, 'stale', next);
        return;
      case 'staleRead':
        readStale(workload, next);
        return;
    }
  }

  /** Independent operations that leave in one turn, as those of a `Batch` request do. */
  #call(keys: readonly string[]): void {
    const node = this.#workload.drawNode();
    const ended = this.#calls(keys.length);
    for (const key of keys) new RegisterCall(this.#workload, this, key, ended).send(node);
  }

  /** To be told of the end of each of so many calls, and whether its outcome is known. */
  #calls(count: number): (isKnown: boolean) => void {
    const client = this.#id;
    let open = count;
    return (isKnown) => {
      if (!isKnown && this.#id === client) this.#id = this.#workload.nextClient();
      if (--open === 0) this.think();
    };
  }
}
