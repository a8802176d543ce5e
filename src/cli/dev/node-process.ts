/** One node of `quorate dev`: a child process that may be started and die any number of times. */
import { spawn, type ChildProcess } from 'node:child_process';
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { nodeArguments } from '../../platform/node-arguments.js';
import type { DevNode } from './layout.js';

type State =
  | { readonly type: 'down' }
  | { readonly type: 'starting' }
  | { readonly type: 'running'; readonly child: ChildProcess; readonly exited: Promise<void> };

/** How a process ended: a status, or the signal that killed it. */
export type NodeExit =
  { readonly type: 'status'; readonly status: number } | { readonly type: 'signal'; readonly signal: NodeJS.Signals };

const program = fileURLToPath(new URL('../main.js', import.meta.url));

export class NodeProcess {
  readonly node: DevNode;
  readonly #onExit: (exit: NodeExit, pid: number) => void;
  #state: State = { type: 'down' };

  constructor(node: DevNode, onExit: (exit: NodeExit, pid: number) => void) {
    this.node = node;
    this.#onExit = onExit;
  }

  get isDown(): boolean {
    return this.#state.type === 'down';
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#state.type === 'running' ? this.#state.child.pid : undefined;
  }

  /** No effect while it runs. */
  async start(): Promise<void> {
    if (this.#state.type !== 'down') return;
    this.#state = { type: 'starting' };
    const log = await open(this.node.logFile, 'a');
    try {
      // A session of its own: the terminal's Ctrl-C is for `quorate dev`, which then stops its nodes in order.
      // The channel tells the node when `quorate dev` is gone.
      const child = spawn(process.execPath, [...nodeArguments, program, 'serve', '--config', this.node.configFile], {
        detached: true,
        env: childEnvironment(),
        stdio: ['ignore', log.fd, log.fd, 'ipc'],
      });
      const exited = new Promise<void>((resolve) => {
        child.once('exit', (status, signal) => {
          this.#state = { type: 'down' };
          this.#onExit(
            signal === null ? { type: 'status', status: status ?? 1 } : { type: 'signal', signal },
            child.pid ?? 0,
          );
          resolve();
        });
      });
      this.#state = { type: 'running', child, exited };
    } finally {
      await log.close();
    }
  }

  /** Resolves when the process is gone: in order, or killed when it took longer than `killAfterMs`. */
  async stop(killAfterMs: number): Promise<void> {
    if (this.#state.type !== 'running') return;
    const { child, exited } = this.#state;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    await exited;
    clearTimeout(timer);
  }

  kill(): void {
    if (this.#state.type === 'running') this.#state.child.kill('SIGKILL');
  }
}

/** The nodes take their settings from their files alone. */
function childEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('QUORATE_') && !name.startsWith('npm_')),
  );
}
