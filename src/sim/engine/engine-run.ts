/**
 * One simulated run of the engine: a tree under random operations and faults, next to a model of it. The outcome is a
 * function of the seed and of the code.
 */
import { Prng } from '../../base/prng.js';
import { DiskError, type DiskErrorCode } from '../../env/disk.js';
import { Tree } from '../../lsm/tree.js';
import type { RunTurns, ScheduledEvent } from '../scheduler.js';
import type { DiskOperation } from '../tree-disk.js';
import { Disagreement, requireThat } from './disagreement.js';
import { corruptionIn, damageFiles, inspect } from './engine-damage.js';
import { EngineMachine, type Outcome } from './engine-machine.js';
import { drawOperation, type EngineOperation } from './engine-operation.js';
import { drawCacheSizes, drawEnginePlan, drawTreeOptions, type EngineFault, type EnginePlan } from './engine-plan.js';
import { EngineSession } from './engine-session.js';

export interface EngineRunOptions {
  readonly seed: number;
  readonly runTurns: RunTurns;
  /** Default 600. */
  readonly operations?: number;
}

export interface EngineRunResult {
  readonly seed: number;
  readonly plan: EnginePlan;
  readonly traceHash: string;
  readonly virtualMs: number;
  /** Carried out, by type. */
  readonly operations: Readonly<Record<string, number>>;
  /** That had an effect. */
  readonly faults: Readonly<Record<string, number>>;
  readonly compactions: number;
  /** What was wrong; undefined when nothing was. */
  readonly failure: string | undefined;
  /** What the tree logged, for a failed run. */
  readonly log: string;
}

const directory = 'node/tree';
/** Virtual time for one operation: far more than any takes that ends. */
const patienceMs = 600_000;
/** After so long a full disk gets room again, if somebody waits for it. */
const fullDiskMs = 2000;
const crashPoints: readonly DiskOperation[] = [
  'write',
  'sync',
  'rename',
  'link',
  'remove',
  'syncDirectory',
  'open',
  'removeTree',
  'makeDirectory',
  'close',
];
const failing: readonly DiskOperation[] = [
  'sync',
  'sync',
  'syncDirectory',
  'syncDirectory',
  'write',
  'open',
  'rename',
  'link',
  'remove',
  'read',
];

export async function simulateEngine({ seed, runTurns, operations = 600 }: EngineRunOptions): Promise<EngineRunResult> {
  const run = new EngineRun(seed, runTurns);
  let failure: string | undefined;
  try {
    await run.run(operations);
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  return run.result(failure);
}

class EngineRun {
  readonly #seed: number;
  readonly #plan: EnginePlan;
  readonly #random: Prng;
  readonly #runTurns: RunTurns;
  readonly #machine: EngineMachine;
  readonly #session: EngineSession;
  readonly #operations: Record<string, number> = {};
  readonly #faults: Record<string, number> = {};
  #compactions = 0;
  /** What the disk did since the tree was opened that is a reason for it to fail. */
  #hasDiskFailed = false;
  /** Operations until the next fault. */
  #untilFault: number;
  /** A crash that will come. */
  #crash: ScheduledEvent | undefined;
  /** No more faults. */
  #isEnding = false;

  constructor(seed: number, runTurns: RunTurns) {
    this.#seed = seed;
    this.#plan = drawEnginePlan(seed);
    this.#random = new Prng(seed).split('run');
    this.#runTurns = runTurns;
    this.#machine = new EngineMachine({ random: new Prng(seed), runTurns });
    const options = this.#random.split('options');
    this.#session = new EngineSession({
      keys: this.#plan.keys,
      directory,
      treeOptions: () => drawTreeOptions(options),
      mayFailSo: (error) => this.#hasDiskFailed && isOfDisk(error),
    });
    this.#untilFault = this.#random.int(1, this.#plan.faultGapMax);
  }

  result(failure: string | undefined): EngineRunResult {
    return {
      seed: this.#seed,
      plan: this.#plan,
      traceHash: this.#machine.scheduler.traceHash,
      virtualMs: this.#machine.scheduler.nowMs,
      operations: this.#operations,
      faults: this.#faults,
      compactions: this.#compactions,
      failure,
      log: failure === undefined ? '' : this.#machine.log.text(),
    };
  }

  async run(operations: number): Promise<void> {
    await this.#machine.disk.makeDirectory('node');
    await this.#machine.disk.syncDirectory('.');
    await this.#start();
    for (let i = 0; i < operations; i++) {
      if (--this.#untilFault <= 0) await this.#nextFault();
      await this.#perform(drawOperation(this.#random, this.#plan.weights));
    }
    this.#machine.stop('none');
    this.#isEnding = true;
    await this.#start();
    requireDone(await this.#machine.complete(this.#session.examine(), patienceMs));
    this.#compactions += this.#session.tree.stats().compactions;
  }

  // ---- operations

  async #perform(operation: EngineOperation): Promise<void> {
    const work = this.#session.perform(operation);
    let outcome = await this.#machine.complete(work, fullDiskMs);
    if (outcome.type === 'late') {
      // Nothing but a full disk may hold an operation up for ever.
      this.#giveRoom();
      outcome = await this.#machine.complete(work, patienceMs);
    }
    await this.#settle(operation.type, outcome);
  }

  async #settle(type: string, outcome: Outcome<unknown>): Promise<void> {
    switch (outcome.type) {
      case 'done':
        this.#operations[type] = (this.#operations[type] ?? 0) + 1;
        this.#machine.checkMemory();
        break;
      case 'failed':
        if (!this.#hasDiskFailed || !isOfDisk(outcome.error)) throw outcome.error;
        break;
      case 'down':
        await this.#start();
        return;
      case 'late':
        throw new Disagreement(`${type} has not ended after ${patienceMs} ms`);
    }
    const { failure } = this.#session.tree;
    if (failure === undefined && outcome.type === 'done') return;
    if (failure !== undefined && (!this.#hasDiskFailed || !isOfDisk(failure))) throw failure;
    // As a node does: it stops, and is started again. What it sees then, and relies on, the power may still take away.
    this.#stop(this.#random.pick(['all', 'all', 'all', 'none', 'random']));
    await this.#start();
    if (!this.#random.chance(0.7)) return;
    this.#stop('none');
    await this.#start();
  }

  /** A new process, and the tree open again; more faults may come on the way. */
  async #start(): Promise<void> {
    for (;;) {
      if (!this.#machine.isUp) {
        this.#heal();
        if (!this.#isEnding && this.#random.chance(0.3)) this.#armFault();
      }
      const resources = this.#machine.start(drawCacheSizes(this.#random));
      const opened = this.#session.open(resources);
      let outcome = await this.#machine.complete(opened, fullDiskMs);
      if (outcome.type === 'late') {
        this.#giveRoom();
        outcome = await this.#machine.complete(opened, patienceMs);
      }
      if (outcome.type === 'done') return;
      if (outcome.type === 'late') throw new Disagreement(`the tree was not open after ${patienceMs} ms`);
      if (outcome.type === 'failed' && !(this.#hasDiskFailed && isOfDisk(outcome.error))) throw outcome.error;
      this.#stop(this.#random.pick(['all', 'none', 'random']));
    }
  }

  #stop(keep: 'all' | 'none' | 'random'): void {
    this.#machine.stop(keep);
  }

  // ---- faults

  async #nextFault(): Promise<void> {
    this.#untilFault = this.#random.int(1, this.#plan.faultGapMax);
    this.#heal();
    if (this.#random.chance(0.2)) return;
    if (this.#plan.faults.includes('damage') && this.#random.chance(0.1)) await this.#damage();
    else this.#armFault();
  }

  /** All but a failure that the tree has met already ends. */
  #heal(): void {
    const { disk } = this.#machine;
    disk.fault = undefined;
    disk.quotaBytes = Infinity;
    disk.slowness = 1;
    this.#crash?.cancel();
    this.#hasDiskFailed = this.#machine.isUp && this.#hasDiskFailed;
  }

  #giveRoom(): void {
    this.#machine.disk.quotaBytes = Infinity;
  }

  #armFault(): void {
    const { disk } = this.#machine;
    const random = this.#random;
    const type = random.pick(this.#plan.faults);
    switch (type) {
      case 'powerLoss':
        return this.#crashSoon(type, random.pick(['none', 'random', 'random']));
      case 'kill':
        return this.#crashSoon(type, 'all');
      case 'diskError': {
        const operation = random.pick(failing);
        return this.#atOperation(operation, () => {
          this.#met(type);
          this.#hasDiskFailed = true;
          return 'io';
        });
      }
      case 'fullDisk':
        this.#met(type);
        disk.quotaBytes = disk.usedBytes() + random.pick([0, 100, 1000, 5000]);
        // A tree says so when it is opened; and so may a checkpoint, or tables that are taken in.
        this.#hasDiskFailed = true;
        return;
      case 'slowDisk':
        this.#met(type);
        disk.slowness = random.int(2, 100);
        return;
      case 'damage':
        return;
    }
  }

  /** After some operations of one kind, or some time. */
  #crashSoon(type: EngineFault, keep: 'all' | 'none' | 'random'): void {
    const crash = (): void => {
      if (!this.#machine.isUp) return;
      this.#met(type);
      this.#stop(keep);
    };
    if (this.#random.chance(0.3)) {
      this.#crash = this.#machine.scheduler.schedule(this.#random.float() * 50, type, crash);
      return;
    }
    this.#atOperation(this.#random.pick(crashPoints), () => {
      this.#crash = this.#machine.scheduler.schedule(0, type, crash);
      return undefined;
    });
  }

  /** Once. */
  #atOperation(wanted: DiskOperation, then: () => DiskErrorCode | undefined): void {
    let left = this.#random.int(1, this.#random.pick([3, 20]));
    this.#machine.disk.fault = (operation) => {
      if (operation !== wanted || --left !== 0) return undefined;
      return then();
    };
  }

  #met(type: EngineFault): void {
    this.#faults[type] = (this.#faults[type] ?? 0) + 1;
  }

  /** The tree is closed, a copy of its files damaged and asked, and the tree opened again. */
  async #damage(): Promise<void> {
    requireDone(await this.#machine.complete(this.#session.close(), patienceMs));
    this.#compactions += this.#session.tree.stats().compactions;
    const copy = this.#machine.disk.clone(this.#random.split('copy'));
    this.#machine.stop('all');
    const damage = await damageFiles(copy, directory, this.#random);
    if (damage !== undefined) await this.#examineDamaged(copy, damage);
    await this.#start();
  }

  async #examineDamaged(disk: Parameters<typeof inspect>[0], damage: string): Promise<void> {
    this.#met('damage');
    const random = this.#random.split('damaged');
    const found = await inspect(disk, directory);
    // A tree that has nothing but its root and a manifest, both sound, cannot miss anything.
    requireThat(found.length > 0, `storage verify found nothing wrong after ${damage}`);
    const machine = new EngineMachine({ random, runTurns: this.#runTurns, disk });
    const ask = async (): Promise<void> => {
      const tree = await Tree.open(directory, machine.start(drawCacheSizes(random)), drawTreeOptions(random));
      await this.#session.compare(tree);
      await tree.verify();
      // A merge may have replaced the table without need of the damaged part: of its filter, say.
      const { compactions } = tree.stats();
      requireThat(compactions > 0, `the tree was opened and verified after ${damage}`);
    };
    const asked = ask();
    machine.start(drawCacheSizes(random));
    const outcome = await machine.complete(asked, patienceMs);
    machine.stop('all');
    if (outcome.type === 'done') return;
    if (outcome.type !== 'failed') throw new Disagreement(`no answer after ${damage}: ${outcome.type}`);
    if (outcome.error instanceof Disagreement) outcome.error.message += ` (after ${damage})`;
    corruptionIn(directory, outcome.error);
  }
}

function requireDone(outcome: Outcome<unknown>): void {
  if (outcome.type === 'failed') throw outcome.error;
  requireThat(outcome.type === 'done', `it is ${outcome.type}`);
}

function isOfDisk(error: unknown): boolean {
  if (error instanceof DiskError) return error.code === 'io' || error.code === 'noSpace';
  return error instanceof Error && isOfDisk(error.cause);
}
