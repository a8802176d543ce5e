/**
 * A file of values to which every new value is appended, in segments; when there is no free one, the segment with the least
 * live values gives them up. They go to a segment of such values, apart from new ones: what was not replaced for long will
 * not be soon. A simulation of nothing but that.
 */
import { Prng } from '../../src/base/prng.js';
import { zipfian } from '../zipfian.js';

const liveValues = 100_000;
const segmentValues = 250;
/** Writes of each value, on average, until the state is steady, and then while it is measured. */
const rounds = 10;

/** Live bytes that are written again for a byte that is written, with so many bytes of file for a live one. */
export function collectedBytesPerNewByte(spaceAmplification: number, skew: 'uniform' | 'zipfian'): number {
  const random = new Prng(1);
  const draw = skew === 'uniform' ? () => random.int(0, liveValues - 1) : zipfian(liveValues, random);
  const segmentCount = Math.floor((liveValues * spaceAmplification) / segmentValues);
  /** Segment of each value. */
  const places = new Int32Array(liveValues).fill(-1);
  const values = Array.from({ length: segmentCount }, () => new Set<number>());
  const free = Array.from({ length: segmentCount }, (_, n) => n);
  const openSegments = { new: newSegment(), rewritten: newSegment() };
  let rewritten = 0;

  function newSegment(): { readonly number: number; written: number } {
    const number = free.pop();
    if (number === undefined) throw new Error('there is no free segment');
    return { number, written: 0 };
  }
  const place = (value: number, stream: 'new' | 'rewritten'): void => {
    if (openSegments[stream].written === segmentValues) openSegments[stream] = newSegment();
    const open = openSegments[stream];
    if (places[value] >= 0) values[places[value]].delete(value);
    places[value] = open.number;
    values[open.number].add(value);
    open.written++;
  };
  const collect = (): void => {
    let victim = -1;
    for (let n = 0; n < segmentCount; n++) {
      const isOpen = n === openSegments.new.number || n === openSegments.rewritten.number;
      if (isOpen || free.includes(n)) continue;
      if (victim < 0 || values[n].size < values[victim].size) victim = n;
    }
    const live = [...values[victim]];
    rewritten += live.length;
    for (const value of live) place(value, 'rewritten');
    free.push(victim);
  };
  const write = (value: number): void => {
    // One is kept for what a collection rewrites.
    while (openSegments.new.written === segmentValues && free.length < 2) collect();
    place(value, 'new');
  };

  for (let value = 0; value < liveValues; value++) write(value);
  for (let n = 0; n < rounds * liveValues; n++) write(draw());
  rewritten = 0;
  for (let n = 0; n < rounds * liveValues; n++) write(draw());
  return rewritten / (rounds * liveValues);
}
