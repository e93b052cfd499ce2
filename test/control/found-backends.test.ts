import { expect, test } from 'vitest';
import { backendAt, changeTo } from '../../src/control/discovery/found-backends.ts';
import { address } from './fixtures.ts';

const NAME = address('https://app.test:8443/base');
const at = (...addresses: string[]) => addresses.map((one) => backendAt(one, NAME));

test('a backend has the address in its URL, and the name where it is called something', () => {
  expect(backendAt('10.0.0.1', NAME)).toMatchObject({
    url: 'https://10.0.0.1:8443/base',
    host: '10.0.0.1',
    authority: 'app.test:8443',
    basePath: '/base',
  });
  expect(backendAt('fd00::1', address('http://app.test')).url).toBe('http://[fd00::1]');
});

test('who comes, who stays, and who goes', () => {
  const before = at('1.1.1.1', '1.1.1.2').map((one) => ({
    ...one,
    isGoing: one.host === '1.1.1.2',
  }));
  const same = changeTo(at('1.1.1.1'), before);
  expect(same).toMatchObject({ came: [], went: [] });
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
});
