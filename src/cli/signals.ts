/** When to stop: SIGINT, SIGTERM, or the end of the process that started this one. */

/** npm passes Ctrl-C on although the terminal has sent it already: what follows this soon is the same one. */
const sameSignalMs = 1000;
const parentCheckMs = 500;

export interface StopHandler {
  /** Stop in order. Once. */
  stop(): void;
  /** The user asks again: stop now. */
  stopNow(): void;
}

/** The process listens until it exits. */
export function onStopSignal(handler: StopHandler): void {
  let stoppingSince: number | undefined;
  const stop = (): void => {
    if (stoppingSince === undefined) {
      stoppingSince = performance.now();
      handler.stop();
    } else if (performance.now() - stoppingSince > sameSignalMs) handler.stopNow();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  // `quorate dev` holds the other end of this channel: when it dies, however it dies, its nodes stop in order.
  process.once('disconnect', stop);
  process.channel?.unref();
  if (process.channel !== undefined && !process.connected) stop();
  // npm runs commands through a shell that dies of a signal without passing it on.
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    stop();
  }, parentCheckMs);
  watch.unref();
}
