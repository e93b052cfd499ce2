/** A route that is split over pools: what it may be, what is wrong with it, and how it is printed. */
import { expect, test } from 'vitest';
import { configOf } from '../../src/config/effective/effective.ts';
import { loadText, problemsOf } from './load-text.ts';

const POOLS = `pools:
  web: { backends: [":3001"] }
  next: { backends: [":3002"] }
  sticky: { backends: [":3003"], sticky: { by: cookie } }`;

function withSplit(split: string, more = ''): string {
  return `${POOLS}\nroutes:\n  - { split: ${split}${more} }`;
}

function load(text: string) {
  const result = loadText(text);
  if (!result.ok) throw new Error(problemsOf(text).join('\n'));
  return result;
}

test('parts have a weight and a name', () => {
  const { settings, notes } = load(
    withSplit('[{ pool: web }, { pool: next, weight: 0, name: c }]'),
  );
  expect(settings.routes[0]?.action).toEqual({
    kind: 'split',
    parts: [
      { pool: 'web', weight: 1, name: 'web' },
      { pool: 'next', weight: 0, name: 'c' },
    ],
  });
  expect(settings.routedPools).toEqual(['web', 'next']);
  expect(notes.filter((note) => !note.includes('pools.sticky'))).toEqual([]);
});

test.each([
  ['[]', '', '6:14: routes.0.split: must not be empty'],
  ['web', '', '6:14: routes.0.split: must be a list'],
  ['[web]', '', '6:15: routes.0.split.0: must be a mapping'],
  ['[{ weight: 1 }]', '', '6:15: routes.0.split.0.pool: is missing'],
  [
    '[{ pool: wep }]',
    '',
    '6:23: routes.0.split.0.pool: there is no pool "wep" (did you mean "web"?)',
  ],
  ['[{ pool: web, weight: 1001 }]', '', '6:36: routes.0.split.0.weight: must be a whole number'],
  ['[{ pool: web, weight: -1 }]', '', '6:36: routes.0.split.0.weight: must be a whole number'],
  ['[{ pool: web, name: A }]', '', '6:34: routes.0.split.0.name: must be a name'],
  ['[{ pool: web, wait: 1 }]', '', '6:28: routes.0.split.0.wait: unknown key'],
  [
    '[{ pool: web, weight: 0 }, { pool: next, weight: 0 }]',
    '',
    '6:14: routes.0.split: every weight is 0: one part must get requests',
  ],
  ['[{ pool: web }, { pool: web }]', '', '6:38: routes.0.split.1.pool: web is the pool of split.0'],
  [
    '[{ pool: web, name: a }, { pool: next, name: a }]',
    '',
    '6:59: routes.0.split.1.name: a is the name of split.0 too',
  ],
  [
    '[{ pool: web, name: next }, { pool: next }]',
    '',
    '6:50: routes.0.split.1.pool: next is the name of split.0 too',
  ],
  [
    '[{ pool: web }]',
    ', pool: web',
    'routes.0.split: contradicts pool (c.yaml:6): a route does one thing',
  ],
])('split: %s%s is a problem', (split, more, problem) => {
  const problems = problemsOf(withSplit(split, more));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

test('a route without pool and split leads nowhere', () => {
  expect(problemsOf(`${POOLS}\nroutes: [{ path: /a }]`)).toHaveLength(1);
});

test('it is said where clients may change between the parts', () => {
  const { notes } = load(withSplit('[{ pool: web }, { pool: sticky }]'));
  expect(notes).toContain(
    'routes.0: split: clients may change between its parts, for its pools are not sticky by the same: web is not at all, sticky is by a cookie',
  );
});

test('a pool that only a part leads to is used', () => {
  const { notes } = load(withSplit('[{ pool: web }, { pool: next, weight: 0 }]'));
  expect(notes.filter((note) => note.includes('used by no route'))).toEqual([
    'pools.sticky (c.yaml:4) is used by no route',
  ]);
});

test('it is printed so that it means the same', () => {
  const { settings } = load(withSplit('[{ pool: web, weight: 9 }, { pool: next, name: c }]'));
  const again = loadText(JSON.stringify(configOf(settings)), { name: 'c.json' });
  expect(again.ok && again.settings.routes).toEqual(settings.routes);
});
