/** The key `cluster`, and what rate limits want of it. */
import { expect, test } from 'vitest';
import { loadText } from './load-text.ts';

test.each([
  'rate_limit: { rate: 9, scope: shared }',
  'pools: { web: { rate_limit: { rate: 9, scope: shared } } }',
  'routes: [{ path: /a, pool: default, rate_limit: { rate: 9, scope: shared } }]',
])('%s is of no use where nobody has said how many share it', (text) => {
  const note = 'rate_limit.scope shared divides by the number of instances, and that is 1';
  const of = (more: string) => {
    const loaded = loadText(`${text}\n${more}`);
    return loaded.ok ? loaded.notes.filter((one) => one.startsWith(note)).length : loaded;
  };
  expect(of('')).toBe(1);
  expect(of('cluster: { instances: 1 }')).toBe(1);
  expect(of('cluster: { instances: 2 }')).toBe(0);
});
