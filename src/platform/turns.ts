const turnsPerIteration = 256;

/**
 * Calls `turn` again and again, each time with no promise reaction pending, until it returns false; rejects with what
 * it throws. Node drains the microtask queue between any two immediates, also of one iteration of the event loop:
 * queueing many at once gives that macrotask boundary without paying for an iteration (a poll of the operating
 * system) every time.
 */
export function runTurns(turn: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let over = false;
    const runOne = (): void => {
      if (over) return;
      try {
        if (turn()) return;
        over = true;
        resolve();
      } catch (error) {
        over = true;
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- passed on as it was thrown
        reject(error);
      }
    };
    const refill = (): void => {
      if (over) return;
      for (let i = 0; i < turnsPerIteration; i++) setImmediate(runOne);
      setImmediate(refill);
    };
    refill();
  });
}
