/** After a SIGSTOP every timer was due before what had arrived was read, so that checks that had their answer failed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

test('three seconds of not running are no verdict on anybody', async () => {
  // Slow, so that a check is under way at any time.
  const backends = await Promise.all(
    Array.from({ length: 8 }, () =>
      httpBackend((_request, response) => void setTimeout(() => response.end('ok'), 60)),
    ),
  );
  const fairlead = await startFairlead({
    config: {
      backends: backends.map(({ url }) => url),
      health_check_method: 'http',
      health_check_frequency: '70ms',
      health_check_timeout: '1s',
      health_check_fall: 1,
    },
  });
  await waitFor(() => backends.every(({ requests }) => requests.length > 3));
  for (let round = 0; round < 2; round++) {
    process.kill(fairlead.pid, 'SIGSTOP');
    await sleep(3_000);
    process.kill(fairlead.pid, 'SIGCONT');
    const before = backends.map(({ requests }) => requests.length);
    await waitFor(() =>
      backends.every(({ requests }, i) => requests.length > (before[i] ?? 0) + 3),
    );
  }
  expect(fairlead.logs().filter(({ event }) => event === 'backend.down')).toEqual([]);
});
