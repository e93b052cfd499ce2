/**
 * A backend that breaks connections as it goes down is ejected by that. The second time, as in a restart soon after the
 * first, no check ended it: the new process passed its checks and got nothing for a minute.
 */
import { expect, test } from 'vitest';
import { reset, startPool } from '../behaviour/named-pool.ts';
import { waitFor } from '../support/wait-for.ts';

test('a backend that is restarted twice is back as soon as it passes its checks', async () => {
  const config = {
    health_check_method: 'http',
    health_check_frequency: '100ms',
    panic_threshold_percent: false,
    outlier_detection: { base_ejection: '2m' },
  };
  const the = await startPool(2, config, { isAlone: true });
  const backend = the.backend(0);
  const count = (name: string): number =>
    the.fairlead.logs().filter(({ event }) => event === name).length;
  for (let restart = 1; restart <= 3; restart++) {
    const returned = count('backend.returned');
    const up = count('backend.up');
    backend.answer = reset;
    await waitFor(async () => {
      await the.names(2);
      return count('backend.ejected') >= restart;
    });
    await backend.stop();
    await waitFor(() => count('backend.down') >= restart);
    backend.answer = backend.good;
    await backend.start();
    await waitFor(() => count('backend.up') > up && count('backend.returned') > returned);
    expect(await the.viewWhere(0, ({ eligible }) => eligible)).toMatchObject({ alive: true });
    expect(new Set(await the.names(4))).toEqual(new Set(['A', 'B']));
  }
}, 30_000);
