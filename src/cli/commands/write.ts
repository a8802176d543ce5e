/** `quorate put` and `quorate del`: one write, with or without a condition. */
import type { DeleteResult, PutResult, WriteConditions } from '../../client/index.js';
import { exitNegative } from '../failure.js';
import { printJson, printLine } from '../output.js';
import { withClient, type CommandContext } from '../session.js';
import { escapeBytes, jsonField } from '../text.js';

/** Exit status 1 when the condition did not hold. */
export function put(
  context: CommandContext,
  key: Uint8Array,
  value: Uint8Array,
  conditions: WriteConditions,
): Promise<number> {
  return withClient(context, async (client) => report(context, key, await client.put(key, value, conditions)));
}

/** Exit status 1 when the condition did not hold; deleting what is absent is no failure. */
export function del(context: CommandContext, key: Uint8Array, conditions: WriteConditions): Promise<number> {
  return withClient(context, async (client) => report(context, key, await client.delete(key, conditions)));
}

async function report(context: CommandContext, key: Uint8Array, result: PutResult | DeleteResult): Promise<number> {
  if (context.json) await printJson({ ...jsonField('key', key), ...toJson(result) });
  else await printLine(toText(key, result));
  return result.type === 'conditionFailed' ? exitNegative : 0;
}

function toJson(result: PutResult | DeleteResult): Record<string, unknown> {
  switch (result.type) {
    case 'written':
      return { result: 'written', version: result.version };
    case 'nothingDeleted':
      return { result: 'nothingDeleted' };
    case 'conditionFailed': {
      const { current } = result;
      const shown = current === undefined ? null : { ...jsonField('value', current.value), version: current.version };
      return { result: 'conditionFailed', current: shown };
    }
  }
}

function toText(key: Uint8Array, result: PutResult | DeleteResult): string {
  switch (result.type) {
    case 'written':
      return `version ${result.version}`;
    case 'nothingDeleted':
      return `${escapeBytes(key)} is absent already`;
    case 'conditionFailed':
      return result.current === undefined
        ? `condition failed: ${escapeBytes(key)} is absent`
        : `condition failed: ${escapeBytes(key)} has version ${result.current.version}`;
  }
}
