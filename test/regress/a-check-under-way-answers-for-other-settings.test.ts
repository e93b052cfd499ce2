/**
 * A reload changed what is checked while a check was under way, and the answer to the old question was taken for one to
 * the new: a 404 of the old path settled `auto` on TCP, and the new path was never asked for.
 */
import { expect, test } from 'vitest';
import type { ProbeRequest } from '../../src/control/health/check-request.ts';
import { HealthChecker } from '../../src/control/health/health.ts';
import type { ProbeResult } from '../../src/control/health/probe.ts';
import { backend, flatSettings, poolRegistry, recordLog, settings } from '../control/fixtures.ts';

test('a check that a reload overtakes is made again with the new settings', async () => {
  const healthCheck = { ...flatSettings().healthCheck, method: 'auto', path: '/old' } as const;
  const first = settings({ healthCheck, backends: [backend('http://localhost:8081')] });
  const registry = poolRegistry({ settings: first, threadCount: 1 });
  const asked: ProbeRequest[] = [];
  let answerFirst: ((result: ProbeResult) => void) | undefined;
  const health = new HealthChecker({
    registry,
    log: recordLog(),
    onChange: () => {},
    probe: (request) => {
      asked.push(request);
      if (asked.length > 1) {
        return Promise.resolve({
          isPassed: false,
          status: 503,
          detail: 'sick',
          hasConnected: true,
          code: undefined,
          isInconclusive: false,
        });
      }
      return new Promise((resolve) => {
        answerFirst = resolve;
      });
    },
  });
  health.sync();
  const checked = health.checkNow(0);

  registry.rebuild({ ...first.pools[0], healthCheck: { ...healthCheck, path: '/new' } });
  health.sync();
  answerFirst?.({
    isPassed: false,
    status: 404,
    detail: 'no such page',
    hasConnected: true,
    code: undefined,
    isInconclusive: false,
  });
  await checked;

  expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual(['http /old', 'http /new']);
  expect(registry.backend(0)).toMatchObject({ health: 'unhealthy', lastReason: 'sick' });
  expect(health.counts(0)).toEqual({ passed: 0, failed: 1, inconclusive: 0 });
  health.stop();
});
