import { expect, test } from 'vitest';
import { PeerVerdicts } from '../../../src/control/cluster/peer-verdicts.ts';
import type { Timing } from '../../../src/control/cluster/timing.ts';

test('a backend that somebody thinks otherwise of is checked, again and again, and by nothing else', async () => {
  const due: (() => void)[] = [];
  const timing: Timing = {
    now: () => 0,
    random: () => 0.5,
    after: (ms, run) => {
      expect(ms).toBe(5_000);
      due.push(run);
      return () => void due.splice(due.indexOf(run), 1);
    },
  };
  const answers = [
    [{ pool: 'web', backend: 'http://x', alive: ['a'], not_alive: ['b'] }],
    [],
    'away',
  ];
  const checked: string[] = [];
  const verdicts = new PeerVerdicts({
    timing,
    async compare() {
      const disagreements = answers.shift();
      if (typeof disagreements !== 'object') throw new Error('nobody answers');
      return { disagreements, silent: [] };
    },
    checkNow: (pool, url) => checked.push(`${pool} ${url}`),
  });
  while (answers.length > 0) {
    due.shift()?.();
    await expect.poll(() => due.length).toBe(1);
  }
  expect(checked).toEqual(['web http://x']);
  verdicts.close();
  expect(due).toEqual([]);
});
