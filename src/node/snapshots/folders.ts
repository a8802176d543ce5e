/** Folders of Raft snapshots, beside that of the shard that they are of. */

/** What a leader sends from. A left-over of a crash goes at the next start. */
export function checkpointFolder(shardFolder: string, checkpoint: number): string {
  return `${shardFolder}.checkpoint-${checkpoint}`;
}

/** What is being fetched. A left-over goes, too. */
export function incomingFolder(shardFolder: string): string {
  return `${shardFolder}.incoming`;
}

const installSuffix = '.install';

/** Whole and checked: it takes the place of the shard's folder, at the next start if not before. */
export function installFolder(shardFolder: string): string {
  return `${shardFolder}${installSuffix}`;
}

/** Name of the shard's folder; undefined where `name` is that of something else. */
export function shardOfInstall(name: string): string | undefined {
  return name.endsWith(installSuffix) ? name.slice(0, -installSuffix.length) : undefined;
}

/** What another folder took the place of. A left-over goes. */
export function replacedFolder(shardFolder: string): string {
  return `${shardFolder}.replaced`;
}
