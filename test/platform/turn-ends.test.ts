import { expect, test } from 'vitest';
import { TurnEnds } from '../../src/platform/turn-ends.js';

/** What an event loop does with immediates: those that are added while they run wait for the next iteration. */
class Loop {
  iterations = 0;
  #waiting: (() => void)[] = [];

  readonly add = (callback: () => void): void => void this.#waiting.push(callback);

  run(iterations = Infinity): void {
    for (; this.#waiting.length > 0 && iterations > 0; iterations--) {
      this.iterations++;
      for (const callback of this.#waiting.splice(0)) callback();
    }
  }
}

function chain(ends: TurnEnds, seen: string[], name: string, length: number): void {
  ends.add(() => {
    seen.push(`${name}${length}`);
    if (length > 1) chain(ends, seen, name, length - 1);
  });
}

test('ends that follow one another share an iteration; each takes what was added before it', () => {
  const loop = new Loop();
  const ends = new TurnEnds(loop.add);
  const seen: string[] = [];
  chain(ends, seen, 'a', 3);
  chain(ends, seen, 'b', 2);
  loop.run();
  expect(seen).toEqual(['a3', 'b2', 'a2', 'b1', 'a1']);
  expect(loop.iterations).toBe(1);
});

test('a long chain lets sockets and timers have their turn', () => {
  const loop = new Loop();
  const ends = new TurnEnds(loop.add);
  const seen: string[] = [];
  chain(ends, seen, 'a', 10);
  loop.run(1);
  expect(seen).toHaveLength(4);
  loop.run();
  expect(seen).toHaveLength(10);
  expect(loop.iterations).toBe(3);
});

test('what comes when no end is ahead has one of its own', () => {
  const loop = new Loop();
  const ends = new TurnEnds(loop.add);
  const seen: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    chain(ends, seen, name, 4);
    loop.run();
  }
  expect(seen).toHaveLength(12);
  expect(loop.iterations).toBe(3);
});

test('one that throws does not keep the others from being called', () => {
  const loop = new Loop();
  const ends = new TurnEnds((callback) => {
    loop.add(() => {
      try {
        callback();
      } catch (error) {
        seen.push(String(error));
      }
    });
  });
  const seen: string[] = [];
  for (let length = 1; length <= 4; length++) chain(ends, seen, 'a', length);
  ends.add(() => {
    throw new Error('thrown');
  });
  ends.add(() => void seen.push('last'));
  loop.run();
  expect(seen.slice(0, 5)).toEqual(['a1', 'a2', 'a3', 'a4', 'Error: thrown']);
  expect(seen).toContain('last');
});

test('in this process: promise reactions first, and no iteration between', async () => {
  const seen: string[] = [];
  const ends = new TurnEnds();
  await new Promise<void>((resolve) => {
    ends.add(() => {
      seen.push('first');
      setImmediate(() => {
        seen.push('next iteration');
        resolve();
      });
      void Promise.resolve().then(() => {
        seen.push('reaction');
        ends.add(() => seen.push('second'));
      });
    });
  });
  expect(seen).toEqual(['first', 'reaction', 'second', 'next iteration']);
});
