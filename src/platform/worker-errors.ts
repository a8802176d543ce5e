import { AssertionError } from '../base/assert.js';
import { CorruptionError } from '../base/errors.js';
import { DiskError, type DiskErrorCode } from '../env/disk.js';

/** An error on its way between threads, which keep only plain data. */
export type EncodedError = { readonly message: string; readonly stack: string | undefined } & (
  | { readonly type: 'disk'; readonly code: DiskErrorCode; readonly path: string }
  | { readonly type: 'corruption'; readonly file: string; readonly offset: number }
  | { readonly type: 'assertion' }
  | { readonly type: 'other'; readonly name: string; readonly code: string | undefined }
);

export function encodeError(thrown: unknown): EncodedError {
  if (!(thrown instanceof Error)) {
    return { type: 'other', name: 'Error', message: String(thrown), stack: undefined, code: undefined };
  }
  const { message, stack, name } = thrown;
  if (thrown instanceof DiskError) return { type: 'disk', message, stack, code: thrown.code, path: thrown.path };
  if (thrown instanceof CorruptionError) {
    return { type: 'corruption', message, stack, file: thrown.file, offset: thrown.offset };
  }
  if (thrown instanceof AssertionError) return { type: 'assertion', message, stack };
  const code: unknown = 'code' in thrown ? thrown.code : undefined;
  return { type: 'other', message, stack, name, code: typeof code === 'string' ? code : undefined };
}

/** The error as it was thrown, with its class, message and the stack of the other thread. */
export function decodeError(encoded: EncodedError): Error {
  const error = instantiate(encoded);
  error.message = encoded.message;
  if (encoded.stack !== undefined) error.stack = encoded.stack;
  return error;
}

function instantiate(encoded: EncodedError): Error {
  switch (encoded.type) {
    case 'disk':
      return new DiskError(encoded.code, encoded.path, 'background job');
    case 'corruption':
      return new CorruptionError(encoded.file, encoded.offset, encoded.message);
    case 'assertion':
      return new AssertionError(encoded.message);
    case 'other': {
      const error = new Error(encoded.message);
      error.name = encoded.name;
      return encoded.code === undefined ? error : Object.assign(error, { code: encoded.code });
    }
  }
}
