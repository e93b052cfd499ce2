import { expect, test } from 'vitest';
import { disagreementsIn, healthKey } from '../../../src/control/cluster/peer-health.ts';

test('two who know a backend disagree about it; who does not have it has no opinion', () => {
  const views = new Map([
    [
      'a',
      new Map([
        [healthKey('web', 'http://x'), true],
        [healthKey('web', 'http://y'), true],
      ]),
    ],
    [
      'b',
      new Map([
        [healthKey('web', 'http://x'), false],
        [healthKey('web', 'http://y'), true],
      ]),
    ],
    ['c', new Map([[healthKey('api', 'http://x'), false]])],
  ]);
  expect(disagreementsIn(views)).toEqual([
    { pool: 'web', backend: 'http://x', alive: ['a'], not_alive: ['b'] },
  ]);
});
