/** Configurations as the text of entries and traces: `conf(1,2,4 was 1,2,3 learners 5 next 3 auto)`. */
import { fromUtf8, utf8 } from '../../src/base/bytes.js';
import { ReplicaId } from '../../src/base/ids.js';
import { type Configuration, createConfiguration } from '../../src/raft/config.js';

export function showConfiguration(configuration: Configuration): string {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration;
  const part = (name: string, replicas: readonly ReplicaId[]): string =>
    replicas.length === 0 ? '' : ` ${name} ${replicas.join(',')}`;
  const rest = `${part('was', votersOutgoing)}${part('learners', learners)}${part('next', learnersNext)}`;
  return `conf(${voters.join(',')}${rest}${autoLeave ? ' auto' : ''})`;
}

export function encodeConfiguration(configuration: Configuration): Uint8Array {
  return utf8(showConfiguration(configuration));
}

/** Undefined when the data is not a configuration. */
export function decodeConfiguration(data: Uint8Array): Configuration | undefined {
  const text = fromUtf8(data);
  if (!text.startsWith('conf(')) return undefined;
  const words = text.slice('conf('.length, -1).split(' ');
  const after = (name: string): ReplicaId[] => (words.includes(name) ? replicasOf(words[words.indexOf(name) + 1]) : []);
  return createConfiguration({
    voters: replicasOf(words[0]),
    votersOutgoing: after('was'),
    learners: after('learners'),
    learnersNext: after('next'),
    autoLeave: words.includes('auto'),
  });
}

export function replicasOf(text: string): ReplicaId[] {
  return text.split(',').map((id) => ReplicaId(Number(id)));
}
