/**
 * A reload took a backend away that was draining. Its drain stayed until the deadline, nobody was told that it had ended, and
 * a removal under way was carried over to a backend of the same URL that the config listed later.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Drains, type DrainsOptions } from '../../src/control/drains.ts';
import { Operator } from '../../src/control/operator.ts';
import { Registry } from '../../src/control/registry.ts';
import { StateStore } from '../../src/control/state/state-file.ts';
import { backend, recordLog, settings } from '../control/fixtures.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';

const BOTH = settings({ backends: ['http://a', 'http://b'].map((url) => backend(url)) });
const ONE = settings({ backends: [backend('http://a')] });

function setUp() {
  const told: Parameters<DrainsOptions['tell']>[0][] = [];
  const log = recordLog();
  const registry = new Registry({ settings: BOTH, threadCount: 1 });
  const drains = new Drains({
    log,
    threadCount: 1,
    tell: (message) => told.push(message),
    moveSessions: async () => {},
    poolOf: () => 'default',
    countersOf: (id) => registry.backend(id)?.counters,
    hasSessions: () => true,
  });
  const store = new StateStore(undefined);
  const operator = new Operator({ registry, store, log, drains, publish: async () => {} });
  return { told, log, registry, drains, operator };
}

describe('a reload that takes away a backend that drains', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('ends the drain and says so', async () => {
    const { told, log, drains, operator } = setUp();
    await operator.update(1, { state: 'draining' }, undefined, 60_000);
    await operator.reload(async () => ONE);
    expect(drains.has(1)).toBe(false);
    expect(log.events()).toEqual(['backend.updated', 'backend.removed']);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(told.map(({ kind }) => kind)).toEqual(['drain-backend']);
  });

  test.each(['update', 'leave'] as const)(
    'leaves what is in flight its time, and cuts it then if that was asked for (%s)',
    async (way) => {
      const { told, log, operator } = setUp();
      if (way === 'leave') await operator.leave(1, 60_000, undefined, 'keep', true);
      else await operator.update(1, { state: 'draining' }, undefined, 60_000, 'keep', true);
      await operator.reload(async () => ONE);
      await vi.advanceTimersByTimeAsync(59_000);
      expect(told.map(({ kind }) => kind)).toEqual(['drain-backend']);
      await vi.advanceTimersByTimeAsync(2_000);
      expect(told.map(({ kind }) => kind)).toEqual(['drain-backend', 'cut-backend']);
      expect(log.events().filter((event) => event === 'backend.removed')).toHaveLength(1);
    },
  );

  test('ends the removal, and whoever lists it again wants it back', async () => {
    const { registry, operator } = setUp();
    await operator.leave(1, 60_000);
    await operator.reload(async () => ONE);
    await operator.reload(async () => BOTH);
    expect(registry.backends()).toMatchObject([
      { id: 0, adminState: 'enabled' },
      { id: 2, adminState: 'enabled' },
    ]);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(registry.backends()).toHaveLength(2);
  });

  test('one that does not drain goes without a word, and one that stays goes on draining', async () => {
    const { log, drains, operator } = setUp();
    await operator.update(0, { state: 'draining' });
    await operator.reload(async () => ONE);
    expect(drains.has(0)).toBe(true);
    expect(log.events()).toEqual(['backend.updated']);
    drains.cancel(0);
  });
});

async function call({ adminUrl }: Fairlead, method: string, path: string, body?: object) {
  const init = { method, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const answer = await fetch(adminUrl + path, init);
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

test('as an operator sees it', async () => {
  const urls = [(await httpBackend()).url, (await httpBackend()).url];
  const fairlead = await startFairlead({ config: { backends: urls } });
  const reloadWith = async (backends: readonly string[]): Promise<void> => {
    await writeFile(join(fairlead.cwd, 'fairlead.config.json'), JSON.stringify({ backends }));
    expect((await call(fairlead, 'POST', '/reload')).status).toBe(200);
  };
  await call(fairlead, 'PATCH', '/backends/1?drain=1h', { state: 'draining' });
  await reloadWith(urls.slice(0, 1));
  const removed = await fairlead.waitForLog(({ event }) => event === 'backend.removed');
  expect(removed).toMatchObject({ level: 'info', id: 1, backend: urls[1], by: 'reload' });
  expect((await call(fairlead, 'GET', '/backends/1')).status).toBe(404);
});
