import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  backendAt,
  changeTo,
  inOrder,
  scaledWeights,
} from '../../src/control/discovery/found-backends.ts';
import { address } from './fixtures.ts';

const { tls, port, authority, basePath } = address('https://app.test:8443/base');
const at = (...hosts: string[]) =>
  hosts.map((host) => backendAt({ tls, port, authority, basePath, host }));

test('a backend has the address in its URL, and the name where it is called something', () => {
  expect(at('10.0.0.1')).toMatchObject([
    {
      url: 'https://10.0.0.1:8443/base',
      host: '10.0.0.1',
      authority: 'app.test:8443',
      basePath: '/base',
    },
  ]);
  expect(backendAt({ tls: false, host: 'fd00::1', port: 80, basePath: '' })).toMatchObject({
    url: 'http://[fd00::1]',
    authority: '[fd00::1]',
  });
});

test('who comes, who stays, and who goes', () => {
  const before = at('1.1.1.1', '1.1.1.2').map((one) => ({
    ...one,
    isGoing: one.host === '1.1.1.2',
  }));
  const same = changeTo(at('1.1.1.1'), before);
  expect(same).toMatchObject({ came: [], went: [], areOther: false });
  expect(same.all).toEqual(before);
  // The one that was going is back; another one goes.
  const change = changeTo(at('1.1.1.2', '1.1.1.3'), before);
  expect(change.came).toEqual(at('1.1.1.2', '1.1.1.3').map(({ url }) => url));
  expect(change.went).toEqual(at('1.1.1.1').map(({ url }) => url));
  expect(change.all.map(({ host, isGoing }) => [host, isGoing])).toEqual([
    ['1.1.1.2', false],
    ['1.1.1.3', false],
    ['1.1.1.1', false],
  ]);
  const heavier = at('1.1.1.1').map((one) => ({ ...one, weight: 3 }));
  expect(changeTo(heavier, before)).toMatchObject({ came: [], went: [], areOther: true });
});

test('what is there twice is there once, whatever the order', () => {
  const [first] = at('1.1.1.1');
  if (first === undefined) throw new Error('none');
  const twice = [first, { ...first, weight: 5 }, { ...first, weight: 9, isBackup: true }];
  expect(inOrder(twice)).toEqual([{ ...first, weight: 5 }]);
  expect(inOrder(twice.toReversed())).toEqual([{ ...first, weight: 5 }]);
});

test('weights of another scale keep their order, and nobody gets none', () => {
  expect(scaledWeights([0, 1, 100])).toEqual([1, 1, 100]);
  expect(scaledWeights([0, 65_535, 32_768])).toEqual([1, 1000, 500]);
  fc.assert(
    fc.property(fc.array(fc.nat(65_535), { maxLength: 20 }), (weights) => {
      const scaled = scaledWeights(weights);
      for (const [index, one] of scaled.entries()) {
        expect(one).toBeGreaterThanOrEqual(1);
        expect(one).toBeLessThanOrEqual(1000);
        const least = Math.min(
          ...scaled.filter((_two, other) => (weights[other] ?? 0) >= (weights[index] ?? 0)),
        );
        expect(one).toBeLessThanOrEqual(least);
      }
    }),
  );
});
