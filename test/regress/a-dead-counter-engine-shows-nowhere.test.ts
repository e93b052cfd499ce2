/**
 * Redis away, etcd away: `fairlead status` said "n of n backends alive" and nothing more, `fairlead healthcheck` plain "ready". What they ask knew it.
 * The real handlers answer here, around an engine and a store that are down.
 */
import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { AdminCall } from '../../src/control/admin/router.ts';
import { statusRoutes } from '../../src/control/admin/status-routes.ts';
import { Registry } from '../../src/control/registry.ts';
import { backend, poolSettings, settings } from '../control/fixtures.ts';
import { runHere } from '../support/command-here.ts';
import { httpBackend } from '../support/http-backend.ts';

// What the command loads, before the time of a test runs.
beforeAll(() => import('../../src/cli/admin/admin-status.ts'));

const LIMIT = {
  key: { by: 'ip', name: '' },
  rate: 1,
  perMs: 1000,
  burst: 1,
  scope: 'global',
} as const;
const POOLS = [
  poolSettings('api', { rateLimit: { ...LIMIT, onEngineDown: 'closed' } }),
  poolSettings('web', { rateLimit: { ...LIMIT, onEngineDown: 'local' } }),
];

const now = { isUp: true, degraded: '', notReady: '', refused: '' };
let run: (...args: string[]) => ReturnType<typeof runHere>;

beforeEach(async () => {
  Object.assign(now, { isUp: true, degraded: '', notReady: '', refused: '' });
  const routes = statusRoutes({
    registry: new Registry({
      settings: settings({ backends: [backend('http://a')] }, POOLS),
      threadCount: 1,
    }),
    drains: { shown: (view: object) => view },
    threadCount: 1,
    uptimeSeconds: () => 1,
    listeners: () => [],
    leaving: () => [],
    counterEngine: () => ({
      url: 'redis://10.0.0.5:6379',
      isUp: now.isUp,
      lastError: 'no answer',
      lastErrorAt: new Date(0),
      counts: { granted: 0, refused: 0, timedOut: 5, failed: 0 },
    }),
    refusedReload: () => (now.refused === '' ? null : { at: new Date(0), reason: now.refused }),
    notReady: () => now.notReady || undefined,
    degraded: () => now.degraded || undefined,
  } as never);
  const { url } = await httpBackend(async (request, response) => {
    const call = { params: { pool: 'default' } } as Partial<AdminCall> as AdminCall;
    if (request.url === '/pools') {
      return void response.end('[{"name":"default","routed":true,"total_backends":1}]');
    }
    const handle = routes.find(({ path }) => path === request.url)?.methods['GET']?.handle;
    try {
      const answer = (await handle?.(call)) as { readonly body: object } | undefined;
      response.end(JSON.stringify(answer?.body));
    } catch (error) {
      response.writeHead(503);
      response.end(JSON.stringify({ code: 'ERR_NOT_READY', detail: (error as Error).message }));
    }
  });
  run = (...args) => runHere([...args, '--admin', url]);
});

test('all is well: nothing is said', async () => {
  expect((await run('status')).stdout).toMatch(/^round-robin, /);
  expect((await run('healthcheck')).stdout).toBe('ready\n');
});

test('what is wrong stands above the tables, with what limits do meanwhile', async () => {
  Object.assign(now, { isUp: false, degraded: 'The configuration may be old. No answer.' });
  const { code, stdout } = await run('status');
  expect(code).toBe(0);
  expect(stdout.split('\n').slice(0, 3)).toEqual([
    'DEGRADED: The configuration may be old. No answer.',
    'DEGRADED: redis://10.0.0.5:6379 does not answer (no answer): this instance decides alone about global limits (closed: it answers 503; local: it allows its part of them) and sessions',
    expect.stringMatching(/^round-robin, 0 of 1 backends alive/),
  ]);
  expect(await run('healthcheck')).toEqual({
    code: 0,
    stdout: 'degraded: The configuration may be old. No answer.\n',
    stderr: '',
  });
  const { stdout: json } = await run('status', '--json');
  expect(JSON.parse(json)).toMatchObject({
    rate_limit_engine: { state: 'down', on_engine_down: ['closed', 'local'] },
  });
});

test('an instance that is ending says so', async () => {
  now.notReady = 'Fairlead is ending.';
  expect((await run('status')).stdout).toMatch(/^NOT READY: Fairlead is ending\.\nround-robin, /);
});

test('a config that was refused is told of, with why', async () => {
  now.refused = 'fairlead.config.yaml:3: port: must be a number';
  expect((await run('status')).stdout).toMatch(
    /^CONFIG REFUSED at 1970-01-01T00:00:00\.000Z, the one before is in force: fairlead\.config\.yaml:3: port: must be a number\nround-robin, /,
  );
});
