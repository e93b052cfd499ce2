/**
 * Keys were compared with each other in square time: a config of 60,000 unknown keys (1 MiB, as `POST /config:validate`
 * takes it) kept the control plane from everything else for 86 s.
 */
import { expect, test } from 'vitest';
import { parseConfigDocument } from '../../src/config/read/document.ts';
import { leastCostMs } from '../support/machine-speed.ts';

function keys(count: number): string {
  return Array.from({ length: count }, (_, index) => `k${index}: 1\n`).join('');
}

test.each(['c.yaml', 'c.json'])('%s with 60,000 keys is refused at once', (file) => {
  const text =
    file === 'c.yaml'
      ? keys(60_000)
      : `{${keys(60_000).replaceAll(/(k\d+): 1\n/g, '"$1":1,')}"z":1}`;
  // It cost 86 s.
  const cost = leastCostMs(() => void parseConfigDocument(text, file), 5_000);
  expect(cost).toBeLessThan(5_000);
  const result = parseConfigDocument(text, file);
  expect(result.ok ? [] : result.problems.map(({ message }) => message)).toEqual([
    file === 'c.yaml'
      ? 'is too long: it has more than 20000 lines, keys and values'
      : 'has too many keys',
  ]);
});

test('a thousand keys and 2,000 backends are not too many', () => {
  const backends = Array.from({ length: 2000 }, () => '  - { url: http://a, weight: 2 }\n').join(
    '',
  );
  expect(parseConfigDocument(`${keys(1000)}backends:\n${backends}`, 'c.yaml').ok).toBe(true);
});
