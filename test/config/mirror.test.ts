/** `mirror` of a route: what it may be, what is wrong with it, and how it is printed. */
import { expect, test } from 'vitest';
import { configOf } from '../../src/config/effective/effective.ts';
import { loadText, problemsOf } from './load-text.ts';

const POOLS = `pools:
  web: { backends: [":3001"] }
  shadow: { backends: [":3002"] }`;

function withMirror(mirror: string, to = 'pool: web'): string {
  return `${POOLS}\nroutes:\n  - { ${to}, mirror: ${mirror} }`;
}

test.each([
  ['{ pool: shadow }', { pool: 'shadow', percent: 100 }],
  ['{ pool: shadow, percent: 0.5 }', { pool: 'shadow', percent: 0.5 }],
  ['{ pool: shadow, percent: 0 }', { pool: 'shadow', percent: 0 }],
])('%s', (mirror, expected) => {
  const result = loadText(withMirror(mirror));
  expect(result).toMatchObject({ ok: true, notes: [] });
  if (!result.ok) return;
  expect(result.settings.routes[0]?.mirror).toEqual(expected);
  expect(result.settings.routedPools).toEqual(['web', 'shadow']);
  const again = loadText(JSON.stringify(configOf(result.settings)), { name: 'c.json' });
  expect(again.ok && again.settings.routes).toEqual(result.settings.routes);
});

test.each([
  ['shadow', '5:26: routes.0.mirror: must be a mapping'],
  ['{ percent: 5 }', '5:26: routes.0.mirror.pool: is missing'],
  [
    '{ pool: shadw }',
    '5:34: routes.0.mirror.pool: there is no pool "shadw" (did you mean "shadow"?)',
  ],
  ['{ pool: web }', '5:34: routes.0.mirror.pool: web gets the requests themselves'],
  [
    '{ pool: shadow, percent: 101 }',
    '5:51: routes.0.mirror.percent: must be a number from 0 to 100',
  ],
  [
    '{ pool: shadow, percent: -1 }',
    '5:51: routes.0.mirror.percent: must be a number from 0 to 100',
  ],
  [
    '{ pool: shadow, percent: "5" }',
    '5:51: routes.0.mirror.percent: must be a number from 0 to 100',
  ],
  ['{ pool: shadow, share: 5 }', '5:42: routes.0.mirror.share: unknown key'],
])('mirror: %s is a problem', (mirror, problem) => {
  const problems = problemsOf(withMirror(mirror));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`c.yaml:${problem}`);
});

test('a route that answers by itself has nothing to mirror', () => {
  const problems = problemsOf(withMirror('{ pool: shadow }', 'respond: { status: 204 }'));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain('routes.0.mirror: needs a pool or split: nothing else is mirrored');
});

test('a copy goes to no pool that gets the requests themselves', () => {
  const problems = problemsOf(
    withMirror('{ pool: shadow }', 'split: [{ pool: web }, { pool: shadow }]'),
  );
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain('routes.0.mirror.pool: shadow gets the requests themselves');
});
