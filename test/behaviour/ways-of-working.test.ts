/**
 * The five ways of working that must work as they stand: what people typed for the small proxies they come from.
 * Ports are the system's; everything else is as in their documentation.
 */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startSampleBackend } from '../../src/cli/demo/sample-backend.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

interface Status {
  readonly strategy: string;
  readonly total_backends: number;
  readonly active_backends: number;
  readonly backends: readonly {
    readonly id: number;
    readonly url: string;
    readonly alive: boolean;
    readonly conns: number;
    readonly current_connections: number;
    readonly weight: number;
    readonly requests: number;
  }[];
}

async function sampleBackends(count: number): Promise<{ url: string; close(): Promise<void> }[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const backend = await startSampleBackend({ port: await freePort(), host: '127.0.0.1' });
      onTestFinished(() => backend.close());
      return backend;
    }),
  );
}

async function status(adminUrl: string): Promise<Status> {
  return (await (await fetch(`${adminUrl}/status`)).json()) as Status;
}

/** Nobody waits for first checks longer than a second, neither a start nor a call that adds one: on a busy machine that is too short. */
function areActive(adminUrl: string, count: number): Promise<boolean> {
  return waitFor(async () => (await status(adminUrl)).active_backends === count);
}

function call(url: string, method: string, body?: unknown): Promise<Response> {
  return fetch(url, {
    method,
    ...(body !== undefined && {
      headers: { 'Content-Type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    }),
  });
}

/** Which backend answered each of `count` requests, one after the other. */
async function answeredBy(url: string, count: number): Promise<string[]> {
  const names: string[] = [];
  for (let index = 0; index < count; index++) {
    const response = await fetch(url);
    expect(response.status).toBe(200);
    names.push(((await response.json()) as { address: string }).address);
  }
  return names;
}

function tally(names: readonly string[]): number[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts.values()].toSorted((a, b) => a - b);
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  await promisify((done: (error: null) => void) => child.on('close', () => done(null)))();
  return output;
}

describe('A: start empty, add backends by hand', () => {
  test('503 while empty, then add, list, switch, remove', async () => {
    const fairlead = await startFairlead();
    const [first, second] = await sampleBackends(2);
    const empty = await fetch(fairlead.url);
    expect(empty.status).toBe(503);
    expect(await empty.text()).toContain('No healthy backend');

    for (const backend of [first, second]) {
      const added = await call(`${fairlead.adminUrl}/backends`, 'POST', { url: backend?.url });
      expect(added.status).toBe(201);
      expect(added.headers.get('location')).toMatch(/^\/.*\d$/);
    }
    await areActive(fairlead.adminUrl, 2);
    const full = await status(fairlead.adminUrl);
    expect(full.strategy).toBe('round-robin');
    expect(full.backends).toMatchObject([
      { url: first?.url, alive: true, conns: 0 },
      { url: second?.url, alive: true, conns: 0 },
    ]);
    expect(tally(await answeredBy(fairlead.url, 6))).toEqual([3, 3]);

    for (const method of ['POST', 'PUT']) {
      for (const strategy of ['least-connections', 'round-robin']) {
        const switched = await call(`${fairlead.adminUrl}/strategy`, method, { strategy });
        expect(switched.status).toBe(200);
        expect((await status(fairlead.adminUrl)).strategy).toBe(strategy);
      }
    }
    const removed = await call(`${fairlead.adminUrl}/backends`, 'DELETE', { url: first?.url });
    expect(removed.status).toBe(200);
    // The answer to the removal means that nothing goes there any more.
    expect(tally(await answeredBy(fairlead.url, 4))).toEqual([4]);
    expect((await status(fairlead.adminUrl)).backends).toMatchObject([{ url: second?.url }]);
  });

  test('bad JSON gets a 400 with a JSON body that says so', async () => {
    const fairlead = await startFairlead();
    const refused = await call(`${fairlead.adminUrl}/backends`, 'POST', '{bad json}');
    expect(refused.status).toBe(400);
    expect(refused.headers.get('content-type')).toContain('json');
    expect(JSON.stringify(await refused.json())).toMatch(/JSON/);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it cleanly', async (signal) => {
    const fairlead = await startFairlead();
    expect(await fairlead.stop(signal)).toBe(0);
  });
});

describe('B: a checklist proxy', () => {
  test('strategy from the file, only healthy ones picked, UP and DOWN once per change', async () => {
    const [alive] = await sampleBackends(1);
    let isHealthy = true;
    const flapping = await httpBackend((request, response) => {
      response.statusCode = request.url === '/health' && !isHealthy ? 500 : 200;
      response.end(JSON.stringify({ address: 'flapping' }));
    });
    const fairlead = await startFairlead({
      config: {
        strategy: 'least-connections',
        backends: [alive?.url, flapping.url],
        health_check_frequency: '100ms',
        // A slow machine must not look like a sick backend.
        health_check_timeout: '10s',
        health_check_method: 'http',
      },
    });
    expect((await status(fairlead.adminUrl)).strategy).toBe('least-connections');
    const changes = (): (string | undefined)[] =>
      fairlead
        .logs()
        .filter(({ msg }) => msg?.includes(flapping.url) === true)
        .map(({ event }) => event)
        .filter((event) => event === 'backend.up' || event === 'backend.down');
    await waitFor(() => changes().length === 1);
    isHealthy = false;
    await waitFor(() => changes().length === 2);
    await areActive(fairlead.adminUrl, 1);
    expect(tally(await answeredBy(fairlead.url, 6))).toEqual([6]);
    isHealthy = true;
    await waitFor(() => changes().length === 3);
    await areActive(fairlead.adminUrl, 2);
    expect(changes()).toEqual(['backend.up', 'backend.down', 'backend.up']);
  });

  test('duplicates are refused, in the file and by the API', async () => {
    const [backend] = await sampleBackends(1);
    const url = backend?.url as string;
    const fairlead = await startFairlead({ args: [url] });
    const again = await call(`${fairlead.adminUrl}/backends`, 'POST', { url: `${url}/` });
    expect(again.status).toBe(409);
    const twice = await runFairlead(['check', url, url.toUpperCase()]);
    expect(twice.code).toBe(2);
  });

  test('a slow backend is a 504 after the timeout', async () => {
    const [backend] = await sampleBackends(1);
    const fairlead = await startFairlead({
      config: { backends: [backend?.url], request_timeout: '200ms' },
    });
    await areActive(fairlead.adminUrl, 1);
    expect((await fetch(`${fairlead.url}/slow?ms=5000`)).status).toBe(504);
  });

  test('added backends survive a restart, and metrics count', async () => {
    const [first, second] = await sampleBackends(2);
    const before = await startFairlead({ config: { backends: [first?.url] } });
    await call(`${before.adminUrl}/backends`, 'POST', { url: second?.url, weight: 2 });
    await areActive(before.adminUrl, 2);
    await answeredBy(before.url, 3);
    const page = await (await fetch(`${before.adminUrl}/metrics`)).text();
    expect(page).toContain(
      `fairlead_requests_total{pool="default",backend="${second?.url}",code="200"} 2`,
    );
    expect(page).toContain('fairlead_request_duration_seconds_count');
    expect(await before.stop()).toBe(0);

    const after = await startFairlead({ config: { backends: [first?.url] }, cwd: before.cwd });
    await areActive(after.adminUrl, 2);
    expect((await status(after.adminUrl)).backends).toMatchObject([
      { id: 0, url: first?.url, weight: 1 },
      { id: 1, url: second?.url, weight: 2, alive: true },
    ]);
    expect(after.logs().find(({ event }) => event === 'listening')).toMatchObject({
      api_changes: 1,
    });
  });

  test('`fairlead try` shows the spread', async () => {
    const backends = await sampleBackends(2);
    const fairlead = await startFairlead({ args: backends.map(({ url }) => url) });
    await areActive(fairlead.adminUrl, 2);
    const tried = await runFairlead(['try', fairlead.url, '-n', '100', '-c', '10', '--json']);
    expect(tried.code).toBe(0);
    expect(JSON.stringify(JSON.parse(tried.stdout))).toContain('50');
  });
});

describe('C: the flat config', () => {
  test('as it stands, with least-conn and the status fields', async () => {
    const backends = await sampleBackends(3);
    const [port, adminPort] = [await freePort(), await freePort()];
    const fairlead = await startFairlead({
      config: {
        port,
        strategy: 'least-conn',
        health_check_frequency: '30s',
        backends: backends.map(({ url }) => url),
        admin_port: adminPort,
        request_timeout: '10s',
      },
      ports: { port, adminPort },
    });
    await areActive(fairlead.adminUrl, 3);
    const now = await status(fairlead.adminUrl);
    expect(now).toMatchObject({
      strategy: 'least-connections',
      total_backends: 3,
      active_backends: 3,
    });
    expect(now.backends[0]).toMatchObject({
      url: backends[0]?.url,
      alive: true,
      current_connections: 0,
    });
    expect(await answeredBy(fairlead.url, 3)).toHaveLength(3);
  });

  test.runIf(hasTool('ab') || process.env['CI'] === 'true')(
    'ab -n 10000 -c 100 without one failed request',
    async () => {
      const backends = await sampleBackends(3);
      const fairlead = await startFairlead({ args: backends.map(({ url }) => url) });
      await areActive(fairlead.adminUrl, 3);
      const output = await run('ab', ['-n', '10000', '-c', '100', '-q', `${fairlead.url}/`]);
      expect(output).toMatch(/Complete requests:\s+10000\n/);
      expect(output).toMatch(/Failed requests:\s+0\n/);
      expect(output).not.toContain('Non-2xx');
    },
    60_000,
  );

  test.runIf(hasTool('hey') || process.env['CI'] === 'true')(
    'hey -n 10000 -c 100 without one failed request',
    async () => {
      const backends = await sampleBackends(3);
      const fairlead = await startFairlead({ args: backends.map(({ url }) => url) });
      await areActive(fairlead.adminUrl, 3);
      const output = await run('hey', ['-n', '10000', '-c', '100', `${fairlead.url}/`]);
      expect(output).toMatch(/\[200\]\s+10000 responses/);
      expect(output).not.toContain('Error distribution');
    },
    60_000,
  );
});

describe('D: weights and the numbered admin calls', () => {
  test('5/3/2 gives 50/30/20 of a hundred requests', async () => {
    const backends = await sampleBackends(3);
    const fairlead = await startFairlead({
      config: {
        health_check_method: 'tcp',
        backend_timeout: '5s',
        enable_sticky_sessions: false,
        sticky_session_ttl: '1h',
        backends: backends.map(({ url }, index) => ({ url, weight: [5, 3, 2][index] })),
      },
    });
    await areActive(fairlead.adminUrl, 3);
    expect(tally(await answeredBy(fairlead.url, 100))).toEqual([20, 30, 50]);
  });

  test('GET, POST, DELETE and PUT status by id', async () => {
    const [first, second, third] = await sampleBackends(3);
    const fairlead = await startFairlead({ config: { backends: [first?.url, second?.url] } });
    const admin = fairlead.adminUrl;
    const list = (await (await fetch(`${admin}/backends`)).json()) as unknown;
    expect(JSON.stringify(list)).toContain(`"url":"${first?.url}"`);
    expect(await (await fetch(`${admin}/backends/0`)).json()).toMatchObject({
      id: 0,
      url: first?.url,
    });
    expect((await call(`${admin}/backends`, 'POST', { url: third?.url, weight: 2 })).status).toBe(
      201,
    );
    await areActive(admin, 3);
    expect((await call(`${admin}/backends/0`, 'DELETE')).status).toBe(200);
    expect((await fetch(`${admin}/backends/0`)).status).toBe(404);

    expect((await call(`${admin}/backends/1/status`, 'PUT', { alive: false })).status).toBe(200);
    expect(tally(await answeredBy(fairlead.url, 4))).toEqual([4]);
    expect((await status(admin)).backends).toMatchObject([
      { id: 1, alive: false },
      { id: 2, alive: true },
    ]);
    expect((await call(`${admin}/backends/1/status`, 'PUT', { alive: true })).status).toBe(200);
    await areActive(admin, 2);
  });

  test('admin_port equal to port is refused', async () => {
    const port = await freePort();
    const refused = await runFairlead(['--port', String(port), '--admin-port', String(port)]);
    expect(refused.code).toBe(2);
    expect(refused.stderr + refused.stdout).toContain('must differ from port');
  });

  test('requests in flight finish at shutdown', async () => {
    const [backend] = await sampleBackends(1);
    const fairlead = await startFairlead({ args: [backend?.url as string] });
    await areActive(fairlead.adminUrl, 1);
    const slow = fetch(`${fairlead.url}/slow?ms=1000`);
    await waitFor(async () => (await status(fairlead.adminUrl)).backends[0]?.conns === 1);
    const ended = fairlead.stop('SIGTERM');
    await fairlead.waitForLog(({ event }) => event === 'stopping');
    const ready = await fetch(`${fairlead.adminUrl}/readyz`);
    expect(ready.status).toBe(503);
    const response = await slow;
    expect(response.status).toBe(200);
    expect(response.headers.get('connection')).toBe('close');
    expect(await ended).toBe(0);
  });
});

describe('E: environment only', () => {
  test('backends, interval and listen address from the environment', async () => {
    const [first, second] = await sampleBackends(2);
    const [port, adminPort] = [await freePort(), await freePort()];
    const fairlead = await startFairlead({
      env: {
        TARGET_BACKEND_URLS: `${first?.url},${second?.url}`,
        HEALTH_CHECK_INTERVAL: '10s',
        PROXY_LISTEN_ADDR: `127.0.0.1:${port}`,
        FAIRLEAD_ADMIN_PORT: String(adminPort),
      },
      ports: { port, adminPort },
    });
    await areActive(fairlead.adminUrl, 2);
    expect(tally(await answeredBy(fairlead.url, 4))).toEqual([2, 2]);
  });

  test('no healthy backend is 503', async () => {
    const sick = await httpBackend((_request, response) => {
      response.statusCode = 500;
      response.end();
    });
    const fairlead = await startFairlead({
      env: { TARGET_BACKEND_URLS: sick.url, HEALTH_CHECK_PATH: '/health' },
    });
    expect((await fetch(fairlead.url)).status).toBe(503);
  });

  test('a backend that can not be reached is 502, and not alive at once', async () => {
    const [backend] = await sampleBackends(1);
    const fairlead = await startFairlead({
      env: { TARGET_BACKEND_URLS: backend?.url as string, HEALTH_CHECK_INTERVAL: '1h' },
    });
    await areActive(fairlead.adminUrl, 1);
    expect((await fetch(fairlead.url)).status).toBe(200);
    await backend?.close();
    const failed = await fetch(fairlead.url);
    expect(failed.status).toBe(502);
    expect(failed.headers.get('proxy-status')).toBe('fairlead; error=connection_refused');
    await areActive(fairlead.adminUrl, 0);
    expect((await fetch(fairlead.url)).status).toBe(503);
  });

  test("the Host header can be the backend's", async () => {
    const [backend] = await sampleBackends(1);
    const url = backend?.url as string;
    const fairlead = await startFairlead({
      env: { TARGET_BACKEND_URLS: url, FAIRLEAD_HOST_HEADER: 'backend' },
    });
    await areActive(fairlead.adminUrl, 1);
    const echo = (await (await fetch(fairlead.url)).json()) as {
      readonly headers: readonly (readonly [string, string])[];
    };
    expect(echo.headers.find(([name]) => name === 'Host')?.[1]).toBe(new URL(url).host);
  });

  test('an empty working folder is enough', async () => {
    const fairlead = await startFairlead();
    await writeFile(join(fairlead.cwd, 'unrelated.txt'), '');
    expect((await fetch(fairlead.url)).status).toBe(503);
  });
});
