/** A result that is there already, or will be: hot paths take the first branch without a promise. */
export type MaybePromise<T> = T | Promise<T>;

/** A promise with its handles outside; for completion that comes from another place than the start. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}

/** Of a step whose failures are promises: rejects with what was thrown before there was anything to wait for. */
export function rejection(thrown: unknown): Promise<never> {
  // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- passed on as it was thrown
  return Promise.reject(thrown);
}
