/** `quorate get`: the value of one key. */
import { exitNegative } from '../failure.js';
import { printJson, printLine, writeOut } from '../output.js';
import { withClient, type CommandContext } from '../session.js';
import { escapeBytes, jsonField, textOf } from '../text.js';

export interface GetOptions {
  /** Write the value's bytes and nothing else. */
  readonly raw?: boolean;
  /** Ask any replica, which may lag behind. */
  readonly stale?: boolean;
}

/** Exit status 1 when the key is absent. */
export function get(context: CommandContext, key: Uint8Array, options: GetOptions): Promise<number> {
  return withClient(context, async (client) => {
    const result = await client.get(key, { consistency: options.stale === true ? 'stale' : 'linearizable' });
    const isFound = result.type === 'found';
    if (context.json) {
      const found = isFound ? { ...jsonField('value', result.value), version: result.version } : {};
      await printJson({ ...jsonField('key', key), found: isFound, ...found });
    } else if (!isFound) process.stderr.write(`${escapeBytes(key)} is absent\n`);
    else if (options.raw === true) await writeOut(result.value);
    else await printLine(textOf(result.value) ?? escapeBytes(result.value));
    return isFound ? 0 : exitNegative;
  });
}
