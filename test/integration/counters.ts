/** Counters that many clients at once count up by compare-and-set: what is applied twice, or lost, shows in the sum. */
import { connect, QuorateError, type Client } from 'quorate';
import { Tally } from './support.js';

export interface CounterTotals {
  /** Increments that were acknowledged. */
  readonly acknowledged: number;
  /** Increments that may have taken effect. */
  readonly unknown: number;
  /** What the counters say. */
  readonly counted: number;
}

export interface RunningCounters {
  /** Increments that were acknowledged so far. */
  readonly acknowledged: Pick<Tally, 'value' | 'reaches'>;
  /** Ends all clients and adds up. */
  finish(): Promise<CounterTotals>;
}

/** Each of `workers` clients increments the counters in turn. Keys begin with `counter/` behind a shard's letter. */
export async function startCounters(options: {
  endpoints: readonly string[];
  keys: readonly string[];
  workers: number;
}): Promise<RunningCounters> {
  const { endpoints, keys, workers } = options;
  const clients = await Promise.all(Array.from({ length: workers }, () => connect({ endpoints })));
  let stopping = false;
  const acknowledged = new Tally();
  let unknown = 0;

  async function increment(client: Client, key: string): Promise<void> {
    const current = await client.get(key);
    const next = current.type === 'found' ? Number(Buffer.from(current.value).toString()) + 1 : 1;
    const condition = current.type === 'found' ? { ifVersion: current.version } : { ifAbsent: true };
    const result = await client.put(key, String(next), { ...condition, deadlineMs: 10_000 });
    if (result.type === 'written') acknowledged.add();
  }

  async function work(client: Client, worker: number): Promise<void> {
    for (let turn = worker; !stopping; turn++) {
      try {
        await increment(client, keys[turn % keys.length]);
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error;
        if (error.outcome === 'unknown') unknown++;
      }
    }
  }

  const runs = clients.map((client, worker) => work(client, worker));
  return {
    acknowledged,
    async finish() {
      stopping = true;
      await Promise.all(runs);
      const values = await Promise.all(keys.map((key) => clients[0].get(key)));
      await Promise.all(clients.map((client) => client.close()));
      const numbers = values.map((value) => (value.type === 'found' ? Number(Buffer.from(value.value).toString()) : 0));
      return { acknowledged: acknowledged.value, unknown, counted: numbers.reduce((sum, value) => sum + value, 0) };
    },
  };
}
