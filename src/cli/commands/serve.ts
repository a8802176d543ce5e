/** `quorate serve`: one node, until it is told to stop. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { CorruptionError, QuorateError } from '../../base/errors.js';
import type { Logger } from '../../env/logger.js';
import { loadConfig, printConfig, type ConfigSources } from '../../node/config/config.js';
import { configuredLogger } from '../../node/config/logger.js';
import { damageIn } from '../../node/directory/damage-note.js';
import { identityFileName } from '../../node/directory/identity.js';
import type { NodeOptions } from '../../node/options.js';
import { serveNode, type RunningNode } from '../../node/serve.js';
import { CommandFailure, damageHint } from '../failure.js';
import { printLine } from '../output.js';
import { onStopSignal } from '../signals.js';

export interface ServeOptions {
  readonly config?: string;
  readonly nodeId?: string;
  readonly dataDirectory?: string;
  readonly clientListen?: string;
  readonly peerListen?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
  /** `path=value` each. */
  readonly set: readonly string[];
  readonly printConfig?: boolean;
}

/** Resolves to the exit status when the node has stopped. */
export async function serve(options: ServeOptions): Promise<number> {
  const config = loadConfig(configSources(options));
  if (options.printConfig === true) {
    await printLine(printConfig(config).trimEnd());
    return 0;
  }
  const logger = configuredLogger(config.logging);
  const node = await startNode(config.options, logger);
  onStopSignal({
    stop: () => {
      logger.info('stopping', { drainMsMax: config.options.drainMsMax });
      node.stop().catch((error: unknown) => {
        logger.error('could not stop in order', { error });
        process.exit(1);
      });
    },
    stopNow: () => process.exit(1),
  });
  // Outcome and hints for callers would only confuse, as at the start.
  const error = await node.stopped;
  if (error === undefined) {
    logger.info('stopped');
    return 0;
  }
  throw new CommandFailure(`the node stopped: ${reasonOf(error, config.options)}`, { cause: error });
}

/** Nobody called an operation yet: outcome and hints for callers would only confuse. */
async function startNode(options: NodeOptions, logger: Logger): Promise<RunningNode> {
  try {
    return await serveNode(options, { logger });
  } catch (error) {
    const isExpected = error instanceof CorruptionError || (error instanceof QuorateError && error.code !== 'INTERNAL');
    throw isExpected ? new CommandFailure(reasonOf(error, options), { cause: error }) : error;
  }
}

/** A damaged identity is none by which a node could ask to be repaired. */
function reasonOf(error: Error, { nodeId, repair }: NodeOptions): string {
  if (error instanceof QuorateError && error.code === 'CORRUPTION') return `${error.message} (${damageHint})`;
  const damage = damageIn(error);
  if (damage === undefined) return error.message;
  const isRepaired = repair === 'fromPeers' && basename(damage.file) !== identityFileName;
  const wayOut = isRepaired
    ? 'the node is repaired from the others when it is started again'
    : `where there is no whole copy: \`quorate node replace ${nodeId}\``;
  return `${error.message} (${damageHint}; ${wayOut})`;
}

function configSources(options: ServeOptions): ConfigSources {
  const file = options.config ?? process.env.QUORATE_CONFIG;
  const named: readonly (readonly [path: string, value: string | undefined])[] = [
    ['nodeId', options.nodeId],
    ['dataDirectory', options.dataDirectory],
    ['clientListen', options.clientListen],
    ['peerListen', options.peerListen],
    ['logging.level', options.logLevel],
    ['logging.format', options.logFormat],
  ];
  const flags = named.flatMap(([path, value]) => (value === undefined ? [] : [`${path}=${value}`]));
  return {
    file: file === undefined ? undefined : { name: file, text: readConfigFile(file) },
    environment: process.env,
    flags: [...options.set, ...flags],
  };
}

function readConfigFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandFailure(`cannot read the configuration file ${file}: ${(error as Error).message}`);
  }
}
