/**
 * Runs a text script against replicas in memory and returns the script with what happened after each command.
 * Messages stay in flight until `deliver`; syncs finish at once unless they are held.
 *
 *   settings NAME=VALUE …      before `nodes`; the defaults are below
 *   nodes N                    replicas 1 … N; the election timeout of each is electionTicksMin + ID ticks
 *   leader ID                  campaigns, and everything is delivered; only the outcome is shown
 *   tick ID[,ID…] [COUNT]      campaign ID            propose ID TEXT …       read ID
 *   change ID VOTERS [learners IDS] [stay]            the next configuration on the way there; leave ID, a joint one
 *   snapshot ID TO             begins to send one, which arrives as one message; delivered ID TO;  failed ID TO
 *   install ID                 what a replica whose syncs are held was to install;  abandon ID
 *   join ID                    a replica that knows of nobody
 *   clock MS                   all clocks go on;  lease ID reads under the lease;  priority ID low|normal
 *   transfer ID TO             unreachable ID PEER, reachable ID PEER    status [ID …]           log ID             retire ID
 *   deliver [FROM>TO …]        everything until it is quiet, or what is in flight on these links
 *   drop FROM>TO …             what is in flight there
 *   copy FROM>TO NAME          the first message in flight there, for `inject NAME` later
 *   cut FROM>TO …              from now on messages are lost;  isolate ID;  heal
 *   wake ID                    its host wants news of the group
 *   delay FROM>TO …            plain `deliver` leaves messages of these links;  undelay
 *   hold syncs ID              sync ID [COUNT]        release syncs ID
 *   restart ID [KEPT]          power loss; the first KEPT of the unfinished writes survive
 *   evict ID INDEX             entries before INDEX must be read from disk;  disk ID answers such reads
 *   compact ID INDEX           drops the log up to INDEX
 */
import { assert, defined } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import { LogIndex, ReplicaId } from '../../src/base/ids.js';
import { Prng } from '../../src/base/prng.js';
import { type Configuration, createConfiguration } from '../../src/raft/config.js';
import { changedConfiguration, leftJoint } from '../../src/raft/config-change.js';
import { messageFault } from '../../src/raft/message-fault.js';
import type { Entry, RaftMessage, Ready } from '../../src/raft/types.js';
import type { ChangeResult, ProposeResult } from '../../src/raft/raft.js';
import { replicasOf, showConfiguration } from './configuration-text.js';
import { type ReplicaSettings, type Surroundings, TestReplica } from './replica.js';
import { showEntries, showEntry, showHardState, showMessage, showSoftState, showStatus } from './show.js';

const defaultSettings = {
  electionTicksMin: 10,
  electionTicksMax: 20,
  heartbeatTicks: 3,
  appendBytesMax: 1000,
  appendsInFlightMax: 8,
  uncommittedBytesMax: 10_000,
  commitNoticeTicks: 0,
  quiesceTicks: 0,
  leaseMs: 0,
};

const deliveriesMax = 1000;

/** Draws what a script can predict: not the smallest number, but the one after it that belongs to the replica. */
class ScriptedDraws extends Prng {
  readonly #id: number;

  constructor(id: number) {
    super(id);
    this.#id = id;
  }

  override int(min: number, max: number): number {
    return Math.min(min + this.#id, max);
  }
}

export function runScript(text: string): string {
  const runner = new ScriptRunner();
  for (const line of text.split('\n')) runner.line(line.trim());
  return runner.trace();
}

class ScriptRunner implements Surroundings {
  readonly #lines: string[] = [];
  #muted = false;
  readonly #replicas = new Map<number, TestReplica>();
  #settings: Record<string, number> = { ...defaultSettings };
  #inFlight: RaftMessage[] = [];
  readonly #cut = new Set<string>();
  #nowMs = 0;
  readonly #delayed = new Set<string>();
  readonly #copies = new Map<string, RaftMessage>();

  trace(): string {
    return `${this.#lines.join('\n').trimEnd()}\n`;
  }

  line(line: string): void {
    if (line === '' || line.startsWith('#')) {
      this.#lines.push(line);
      return;
    }
    this.#lines.push(`> ${line}`);
    const [command, ...words] = line.split(/\s+/);
    this.#run(command, words);
  }

  #say(text: string): void {
    if (!this.#muted) this.#lines.push(`  ${text}`);
  }

  #replica(word: string): TestReplica {
    return defined(this.#replicas.get(Number(word)), `replica ${word}`);
  }

  #run(command: string, words: string[]): void {
    switch (command) {
      case 'settings':
        for (const word of words) {
          const [name, value] = word.split('=');
          assert(name in this.#settings, `unknown setting ${name}`);
          this.#settings[name] = Number(value);
        }
        return;
      case 'nodes':
        this.#createReplicas(Number(words[0]));
        return;
      case 'join':
        this.#createReplica(ReplicaId(Number(words[0])), createConfiguration({}));
        return;
      case 'leader':
        this.#muted = true;
        this.#runOn(this.#replica(words[0]), 'campaign', []);
        this.#deliverAll();
        this.#muted = false;
        this.#say(showStatus(this.#replica(words[0]).raft.status())[0]);
        return;
      case 'tick':
        for (let i = 0; i < Number(words[1] ?? 1); i++) {
          for (const id of words[0].split(',')) {
            this.#replica(id).raft.tick();
            this.#replica(id).run();
          }
        }
        return;
      case 'deliver':
        if (words.length === 0) this.#deliverAll();
        else for (const link of words) this.#deliver(this.#takeInFlight(link));
        return;
      case 'drop':
        for (const link of words) {
          for (const message of this.#takeInFlight(link)) this.#say(`lost: ${showMessage(message)}`);
        }
        return;
      case 'copy': {
        const [link, name] = words;
        const message = this.#inFlight.find((candidate) => linkOf(candidate) === link);
        this.#copies.set(name, defined(message, `a message on ${link}`));
        return;
      }
      case 'inject':
        this.#deliver([defined(this.#copies.get(words[0]), words[0])]);
        return;
      case 'clock':
        this.#nowMs += Number(words[0]);
        return;
      case 'cut':
        for (const link of words) this.#cut.add(link);
        return;
      case 'isolate':
        for (const id of this.#replicas.keys()) this.#cut.add(`${words[0]}>${id}`).add(`${id}>${words[0]}`);
        return;
      case 'heal':
        this.#cut.clear();
        return;
      case 'delay':
        for (const link of words) this.#delayed.add(link);
        return;
      case 'undelay':
        this.#delayed.clear();
        return;
      case 'status':
        for (const replica of words.length === 0 ? this.#replicas.values() : words.map((id) => this.#replica(id))) {
          for (const line of showStatus(replica.raft.status())) this.#say(line);
        }
        return;
      case 'hold':
        this.#replica(words[1]).syncsHeld = true;
        return;
      default:
        this.#runOn(this.#replica(words[command === 'release' ? 1 : 0]), command, words.slice(1));
    }
  }

  #runOn(replica: TestReplica, command: string, words: string[]): void {
    const { raft } = replica;
    switch (command) {
      case 'campaign':
        raft.campaign();
        break;
      case 'propose':
        for (const word of words) {
          this.#sayRefusal(raft.propose(utf8(word)));
        }
        break;
      case 'read': {
        const result = raft.requestRead();
        this.#say(result.type === 'refused' ? `refused: ${result.reason}` : `in round ${result.round}`);
        break;
      }
      case 'lease': {
        const index = raft.leaseRead();
        this.#say(index === undefined ? 'no lease' : `may read at ${index}`);
        break;
      }
      case 'priority':
        raft.setElectionPriority(words[0] === 'low' ? 'low' : 'normal');
        return;
      case 'transfer':
        if (!raft.transferLeadership(ReplicaId(Number(words[0])))) this.#say('refused');
        break;
      case 'change': {
        const [voters, ...more] = words;
        const learners = more[0] === 'learners' ? replicasOf(more[1]) : [];
        const members = { voters: replicasOf(voters), learners };
        this.#sayRefusal(replica.change(changedConfiguration(raft.configuration, members, !more.includes('stay'))));
        break;
      }
      case 'leave':
        this.#sayRefusal(replica.change(leftJoint(raft.configuration)));
        break;
      case 'snapshot': {
        const message = raft.beginSnapshot(ReplicaId(Number(words[0])), replica.snapshot);
        if (message === undefined) this.#say('not needed');
        else this.send(message);
        break;
      }
      case 'delivered':
      case 'failed':
        raft.snapshotEnded(ReplicaId(Number(words[0])), command);
        break;
      case 'install':
        if (!replica.install()) this.#say('nothing to install');
        break;
      case 'abandon':
        replica.installing = undefined;
        raft.snapshotAbandoned();
        break;
      case 'retire':
        raft.retire();
        break;
      case 'wake':
        raft.wakeGroup();
        break;
      case 'reachable':
        raft.peerReachable(ReplicaId(Number(words[0])));
        break;
      case 'unreachable':
        raft.peerUnreachable(ReplicaId(Number(words[0])));
        break;
      case 'log':
        this.#say(`${replica.id} has ${showEntries(replica.log.all)}, durable ${showEntries(replica.durable.log.all)}`);
        return;
      case 'sync':
        for (let i = 0; i < Number(words[0] ?? 1); i++) {
          if (!replica.syncNext()) this.#say('nothing to sync');
          replica.run();
        }
        return;
      case 'release':
        replica.syncsHeld = false;
        replica.install();
        while (replica.syncNext());
        break;
      case 'restart':
        replica.restart(Number(words[0] ?? 0));
        break;
      case 'evict':
        replica.log.memoryFrom = LogIndex(Number(words[0]));
        return;
      case 'disk':
        replica.answerLogReads();
        break;
      case 'compact':
        replica.flush();
        replica.dropLogTo(LogIndex(Number(words[0])));
        return;
      default:
        throw new Error(`unknown command ${command}`);
    }
    replica.run();
  }

  #sayRefusal(result: ProposeResult | ChangeResult): void {
    if (result.type === 'refused') this.#say(`refused: ${result.reason}`);
  }

  #createReplicas(count: number): void {
    const voters = Array.from({ length: count }, (_, i) => ReplicaId(i + 1));
    for (const id of voters) this.#createReplica(id, createConfiguration({ voters }));
  }

  #createReplica(id: ReplicaId, configuration: Configuration): void {
    const { leaseMs, ...numbers } = this.#settings;
    const lease = leaseMs === 0 ? undefined : { durationMs: leaseMs, monotonicMs: () => this.#nowMs };
    const settings = { ...numbers, lease, configuration } as unknown as ReplicaSettings;
    this.#replicas.set(id, new TestReplica(id, settings, new ScriptedDraws(id), this));
  }

  #takeInFlight(link: string): RaftMessage[] {
    const taken = this.#inFlight.filter((message) => linkOf(message) === link);
    this.#inFlight = this.#inFlight.filter((message) => linkOf(message) !== link);
    return taken;
  }

  #deliverAll(): void {
    for (let delivered = 0; ; delivered++) {
      assert(delivered < deliveriesMax, 'messages go on for ever');
      const next = this.#inFlight.findIndex((message) => !this.#delayed.has(linkOf(message)));
      if (next === -1) return;
      this.#deliver(this.#inFlight.splice(next, 1));
    }
  }

  #deliver(messages: readonly RaftMessage[]): void {
    for (const message of messages) {
      this.#say(showMessage(message));
      const replica = defined(this.#replicas.get(message.to), `replica ${message.to}`);
      const fault = messageFault(message, replica.raft);
      assert(fault === undefined, `refused, though it was sent in order: ${fault}`);
      replica.raft.step(message);
      replica.run();
    }
  }

  // Surroundings

  send(message: RaftMessage): void {
    if (this.#cut.has(linkOf(message))) this.#say(`lost: ${showMessage(message)}`);
    else this.#inFlight.push(message);
  }

  onReady({ id }: TestReplica, ready: Ready): void {
    if (ready.softState !== undefined) this.#say(`${id} is ${showSoftState(ready.softState)}`);
    const writes: string[] = [];
    if (ready.hardState !== undefined) writes.push(showHardState(ready.hardState));
    if (ready.entries.length > 0) writes.push(showEntries(ready.entries));
    const sync = ready.mustSync ? '' : ' (no sync)';
    if (writes.length > 0) this.#say(`${id} writes ${writes.join(' and ')}${sync}`);
    for (const { round, index } of ready.readStates) this.#say(`${id} answers reads up to round ${round} at ${index}`);
    if (ready.snapshot !== undefined) this.#say(`${id} is to install ${ready.snapshot.index}/t${ready.snapshot.term}`);
    if (ready.leaveJoint !== undefined) this.#say(`${id} is to leave with ${showConfiguration(ready.leaveJoint)}`);
    if (ready.readsLost) this.#say(`${id} answers no more reads`);
    for (const { to, from } of ready.logReads) this.#say(`${id} asks its disk for entries from ${from}, for ${to}`);
  }

  onSnapshotWanted({ id }: TestReplica, to: ReplicaId): void {
    this.#say(`${id} is to send a snapshot to ${to}`);
  }

  onSynced({ id, syncsHeld }: TestReplica, ready: Ready): void {
    if (syncsHeld) this.#say(`${id} synced up to ${ready.syncPoint.lastIndex} in term ${ready.syncPoint.term}`);
  }

  onApplied({ id }: TestReplica, entry: Entry): void {
    this.#say(`${id} applies ${showEntry(entry)}`);
  }
}

function linkOf(message: RaftMessage): string {
  return `${message.from}>${message.to}`;
}
