/** Configurations of a Raft group, and the names of its snapshots, as proto/peer.proto has them. */
import { DecodeError } from '../base/coding.js';
import { LogIndex, type ReplicaId, Term } from '../base/ids.js';
import { type Configuration, configurationFault, membersOf } from '../raft/config.js';
import type { RaftSnapshot } from '../raft/types.js';
import { decodeReplicaId, required } from './decode-ids.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

/** The fields of `SnapshotRequest`. */
export function writeSnapshot(writer: WireWriter, { index, term, configuration }: RaftSnapshot): void {
  writer.uint(1, index);
  writer.uint(2, term);
  const mark = writer.begin(3);
  writeConfiguration(writer, configuration);
  writer.end(mark);
}

export function readSnapshot(reader: WireReader): RaftSnapshot {
  let index = 0;
  let term = 0;
  let configuration: Configuration | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        index = reader.uint();
        break;
      case 2:
        term = reader.uint();
        break;
      case 3:
        configuration = readConfiguration(reader.message());
        break;
      default:
        reader.skip();
    }
  }
  return { index: LogIndex(index), term: Term(term), configuration: required(configuration, 'a configuration') };
}

function writeConfiguration(writer: WireWriter, configuration: Configuration): void {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration;
  for (const replica of membersOf(configuration)) {
    const mark = writer.begin(1);
    writer.uint(1, replica);
    writer.bool(2, voters.includes(replica));
    writer.bool(3, votersOutgoing.includes(replica));
    writer.bool(4, learners.includes(replica));
    writer.bool(5, learnersNext.includes(replica));
    writer.end(mark);
  }
  writer.bool(2, autoLeave);
}

function readConfiguration(reader: WireReader): Configuration {
  const voters: ReplicaId[] = [];
  const votersOutgoing: ReplicaId[] = [];
  const learners: ReplicaId[] = [];
  const learnersNext: ReplicaId[] = [];
  let autoLeave = false;
  while (reader.next()) {
    switch (reader.field) {
      case 1: {
        const [id, voter, voterOutgoing, learner, learnerNext] = reader.message().uints(5);
        const replica = decodeReplicaId(id);
        if (voter !== 0) voters.push(replica);
        if (voterOutgoing !== 0) votersOutgoing.push(replica);
        if (learner !== 0) learners.push(replica);
        if (learnerNext !== 0) learnersNext.push(replica);
        break;
      }
      case 2:
        autoLeave = reader.bool();
        break;
      default:
        reader.skip();
    }
  }
  const configuration = { voters, votersOutgoing, learners, learnersNext, autoLeave };
  const fault = configurationFault(configuration);
  if (fault !== undefined) throw new DecodeError(`a configuration of ${fault}`);
  return configuration;
}
