import { appendStringModel, registerModel, type Model, type Operation } from '../checker/check.js';
import { readJepsenRegister } from './jepsen-register.js';
import { readPorcupineKv } from './porcupine-kv.js';

/** Receives a history together with the model that it is to be checked against, whatever their types. */
export type HistoryVisitor<Result> = <State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
) => Result;

/**
 * The formats that can be read, by name. Each hands a file's history and the model that goes with it to `visit`.
 *
 * @throws HistoryFormatError with the line that is wrong.
 */
export const formats = {
  'porcupine-kv': <Result>(text: string, visit: HistoryVisitor<Result>): Result =>
    visit(appendStringModel, readPorcupineKv(text)),
  'jepsen-register': <Result>(text: string, visit: HistoryVisitor<Result>): Result =>
    visit(registerModel, readJepsenRegister(text)),
};

export type FormatName = keyof typeof formats;
