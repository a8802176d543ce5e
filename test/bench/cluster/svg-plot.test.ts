import fc from 'fast-check';
import { expect, test } from 'vitest';
import { logAxis, svgPlot } from '../../../bench/cluster/svg-plot.js';

const titles = { title: 'Put', xTitle: 'x', yTitle: 'y' };

test('an axis has all values between its first and last tick, which are round', () => {
  const positive = fc.double({ min: 1e-3, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(fc.array(positive, { minLength: 1 }), (values) => {
      const { ticks, place } = logAxis(values);
      expect(ticks.length).toBeGreaterThanOrEqual(2);
      for (const value of values) {
        expect(place(value)).toBeGreaterThanOrEqual(-1e-9);
        expect(place(value)).toBeLessThanOrEqual(1 + 1e-9);
      }
    }),
  );
  expect(logAxis([3, 70]).ticks).toEqual([2, 5, 10, 20, 50, 100]);
});

test('lines without points are not drawn, and nothing at all gives no plot', () => {
  const line = { name: 'a', color: '#000', isDashed: false, points: [{ x: 10, y: 1, label: '64' }] };
  const drawn = svgPlot([line, { ...line, name: 'empty', points: [] }], titles);
  expect(drawn).toContain('>64<');
  expect(drawn).not.toContain('empty');
  expect(svgPlot([{ ...line, points: [] }], titles)).toBe('');
});
