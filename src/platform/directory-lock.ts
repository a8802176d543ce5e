/**
 * Exclusive use of a data directory by one process.
 *
 * Whoever wants the directory listens on a unix socket inside it and looks at the sockets of others afterwards; the
 * kernel answers whether there is a process behind a socket, so neither a killed process nor a reused pid misleads.
 * docs/decisions/2026-11-20-directory-lock.md says why this way.
 *
 * Invariants, from which mutual exclusion follows:
 * - a socket with a visible name listens from its first moment until its process gives it up or dies: one that
 *   refuses connections is dead for ever, and may be removed by anybody at any time;
 * - names are random and never used twice;
 * - a process looks at the others only after its own socket is visible, so of any two that want the directory at
 *   least one sees the other; and nobody takes the directory who saw a living other.
 */
import { randomBytes } from 'node:crypto';
import { open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';

/** Two processes that start at once may see each other and both step back; then they try again. */
const attemptsMax = 10;
const retryMsMax = 100;
/** A stopped or busy holder does not say who it is; then it is a holder all the same. */
const answerMsMax = 500;
const visibleName = /^lock-[0-9a-f]{16}\.sock$/;
const hiddenName = /^\.lock-[0-9a-f]{16}\.new$/;
/** Of the sockets of this process: its pid does not tell it from one in another container. */
const ownNames = new Set<string>();

export interface DirectoryLock extends AsyncDisposable {
  readonly directory: string;
  release(): Promise<void>;
}

/** The directory is in use, by another process or by this one. */
export class DirectoryLockedError extends Error {
  override readonly name = 'DirectoryLockedError';
  readonly directory: string;
  /** Of the process that has it, as it sees itself (in a container that is not the host's number); if it said so. */
  readonly pid: number | undefined;

  constructor(directory: string, { pid, isThisProcess }: Holder) {
    const who = isThisProcess ? 'this process' : 'another process';
    super(`${directory} is in use by ${who}${pid === undefined ? '' : ` (pid ${pid})`}`);
    this.directory = directory;
    this.pid = pid;
  }
}

/** What a socket tells those who connect to it. */
interface Claim {
  readonly pid: number;
  /** False while its process still looks around. */
  isHolder: boolean;
}

type Neighbour = { readonly type: 'dead' } | { readonly type: 'alive'; readonly claim: Partial<Claim> };

/** Whether a file in a directory is there for its lock, of whomever, and means nothing to others. */
export function isLockName(name: string): boolean {
  return visibleName.test(name) || hiddenName.test(name);
}

interface Holder {
  readonly pid: number | undefined;
  readonly isThisProcess: boolean;
}

interface Other extends Holder {
  /** Undefined if it did not say so: then it is taken for one. */
  readonly isHolder: boolean | undefined;
}

/** `contended`: another process wants the directory at this moment too, and has not got it yet. */
type Attempt =
  | { readonly type: 'taken'; readonly own: OwnSocket }
  | { readonly type: 'held'; readonly holder: Holder }
  | { readonly type: 'contended'; readonly holder: Holder };

interface OwnSocket {
  readonly name: string;
  readonly server: Server;
  readonly claim: Claim;
}

/**
 * Takes the directory, which must exist, until release or the end of this process.
 * Rejects with {@link DirectoryLockedError} when another process has it, or this one.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const handle = await open(directory, 'r');
  try {
    const place = placeOf(handle, directory);
    for (let attempt = 1; ; attempt++) {
      const result = await tryLock(place, directory);
      if (result.type === 'taken') return holdLock(directory, place, result.own, handle);
      if (result.type === 'held' || attempt === attemptsMax) throw new DirectoryLockedError(directory, result.holder);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * retryMsMax));
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Rejects with {@link DirectoryLockedError} while a process of this machine has the directory. For one that cannot be locked,
 * since it cannot be written to: nothing is changed, and nothing keeps a process from taking it afterwards, elsewhere.
 */
export async function refuseHeldDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    const holder = await findOther(placeOf(handle, directory), undefined);
    if (holder !== undefined) throw new DirectoryLockedError(directory, holder);
  } finally {
    await handle.close();
  }
}

/** Paths of sockets are short: about 100 bytes. On Linux the descriptor makes a short one. */
function placeOf(handle: FileHandle, directory: string): string {
  return process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : directory;
}

async function tryLock(place: string, directory: string): Promise<Attempt> {
  const own = await announce(place, directory);
  if (own === undefined) return { type: 'contended', holder: { pid: undefined, isThisProcess: false } };
  try {
    const other = await findOther(place, own.name);
    if (other === undefined) {
      own.claim.isHolder = true;
      await removeHidden(place);
      return { type: 'taken', own };
    }
    await withdraw(place, own);
    return { type: other.isHolder === false ? 'contended' : 'held', holder: other };
  } catch (error) {
    await withdraw(place, own);
    throw error;
  }
}

/**
 * Listens under a hidden name, then makes the socket visible: so nobody finds it between its bind and its listen.
 * Undefined when a process that took the directory meanwhile removed the hidden name.
 */
async function announce(place: string, directory: string): Promise<OwnSocket | undefined> {
  const id = randomBytes(8).toString('hex');
  const claim: Claim = { pid: process.pid, isHolder: false };
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(JSON.stringify(claim));
  });
  const own: OwnSocket = { name: `lock-${id}.sock`, server, claim };
  const hidden = `.lock-${id}.new`;
  await new Promise<void>((resolve, reject) => {
    server.on('error', (error) => {
      reject(new Error(`cannot make a socket in ${directory}: ${error.message}`, { cause: error }));
    });
    server.listen({ path: `${place}/${hidden}`, exclusive: true }, resolve);
  });
  server.unref();
  ownNames.add(own.name);
  try {
    await rename(`${place}/${hidden}`, `${place}/${own.name}`);
    return own;
  } catch (error) {
    await withdraw(place, own);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A living socket other than our own, a holder's before others. Who has one of its own also removes the dead ones. */
async function findOther(place: string, ownName: string | undefined): Promise<Other | undefined> {
  let contender: Other | undefined;
  for (const name of await readdir(place)) {
    if (name === ownName || !visibleName.test(name)) continue;
    const neighbour = await ask(`${place}/${name}`);
    if (neighbour.type === 'dead') {
      if (ownName !== undefined) await rm(`${place}/${name}`, { force: true });
    } else {
      const { pid, isHolder } = neighbour.claim;
      const other = { pid, isHolder, isThisProcess: ownNames.has(name) };
      if (isHolder !== false) return other;
      contender = other;
    }
  }
  return contender;
}

function ask(path: string): Promise<Neighbour> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ path });
    const answer = (neighbour: Neighbour): void => {
      clearTimeout(timeout);
      socket.destroy();
      resolve(neighbour);
    };
    const alive = (): void => answer({ type: 'alive', claim: parseClaim(text) });
    const timeout = setTimeout(alive, answerMsMax);
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('end', alive);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // Anything else, such as a full backlog, is no proof of death.
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') answer({ type: 'dead' });
      else alive();
    });
  });
}

function parseClaim(text: string): Partial<Claim> {
  try {
    return JSON.parse(text) as Partial<Claim>;
  } catch {
    return {};
  }
}

/** What processes left that died while they announced themselves; one that lives has to begin again. */
async function removeHidden(place: string): Promise<void> {
  for (const name of await readdir(place)) if (hiddenName.test(name)) await rm(`${place}/${name}`, { force: true });
}

async function withdraw(place: string, own: OwnSocket): Promise<void> {
  await rm(`${place}/${own.name}`, { force: true });
  await new Promise((resolve) => own.server.close(resolve));
  ownNames.delete(own.name);
}

function holdLock(directory: string, place: string, own: OwnSocket, handle: FileHandle): DirectoryLock {
  let released: Promise<void> | undefined;
  const release = (): Promise<void> =>
    (released ??= (async () => {
      await withdraw(place, own);
      await handle.close();
    })());
  return { directory, release, [Symbol.asyncDispose]: release };
}
