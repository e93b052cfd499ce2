import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Route } from '../../src/control/admin/router.ts';
import { startAdminServer } from '../../src/control/admin/server.ts';
import { STRATEGY_NAMES } from '../../src/snapshot/snapshot.ts';
import { afterTest } from '../support/after-test.ts';
import { backend, recordLog, settings } from './fixtures.ts';
import { loaded, rawAnswer, running } from './running.ts';

describe('the admin API', () => {
  it('says what can be called, what is not there, and what a path takes', async () => {
    const { call } = await running();
    expect((await call('GET', '/')).json).toMatchObject({ name: 'fairlead' });
    expect((await call('GET', '/nothing')).json).toMatchObject({
      status: 404,
      code: 'ERR_UNKNOWN_PATH',
    });
    expect((await call('GET', '/constructor')).status).toBe(404);
    const wrong = await call('POST', '/status');
    expect(wrong.status).toBe(405);
    expect(wrong.headers.allow).toBe('GET, HEAD');
    expect((await call('PATCH', '/strategy')).headers.allow).toBe('GET, HEAD, PUT, POST');
    const head = await call('HEAD', '/status');
    expect([head.status, head.text]).toEqual([200, '']);
    expect(Number(head.headers['content-length'])).toBeGreaterThan(10);
    expect((await call('GET', '/backends/%zz')).json).toMatchObject({
      status: 400,
      code: 'ERR_BAD_TARGET',
    });
    expect((await call('GET', '/status/')).status).toBe(200);
    expect((await call('GET', '/status?x=%zz')).status).toBe(200);
  });

  it('switches the strategy by all its names', async () => {
    const { call } = await running();
    for (const [name, strategy] of [
      ['least-connections', 'least-connections'],
      ['weighted-round-robin', 'round-robin'],
      ['least-conn', 'least-connections'],
      ['round-robin', 'round-robin'],
    ]) {
      expect((await call('POST', '/strategy', { strategy: name })).json).toMatchObject({
        strategy,
      });
      expect((await call('GET', '/status')).json).toMatchObject({ strategy });
    }
    const unknown = await call('PUT', '/strategy', { strategy: 'least-conections' });
    expect(unknown.json).toMatchObject({
      status: 422,
      code: 'ERR_UNKNOWN_STRATEGY',
      hint: 'did you mean "least-connections"?',
      strategies: [...STRATEGY_NAMES],
    });
  });

  it('can not be driven by a web page', async () => {
    const { call, fairlead } = await running();
    const own = `http://localhost:${fairlead.adminPort}`;
    const host = `localhost:${fairlead.adminPort}`;
    for (const [headers, status] of [
      [{ Origin: 'https://evil.example' }, 403],
      [{ Origin: 'null' }, 403],
      [{ Origin: 'http://localhost:1' }, 403],
      [{ Origin: own, Host: host }, 200],
      [{ Host: 'evil.example' }, 403],
      [{ Host: 'evil.example', Origin: 'http://evil.example' }, 403],
      [{ Host: '127.0.0.1.evil.example' }, 403],
      [{ Host: 'localhost' }, 200],
      [{ Host: '[::1]:9000' }, 200],
      [{ Host: '127.8.8.8:1' }, 200],
      [{ Host: '10.0.0.1' }, 403],
    ] as const) {
      expect([headers, (await call('GET', '/status', undefined, headers)).status]).toEqual([
        headers,
        status,
      ]);
    }
  });

  it('asks for the token where there is one, but not of probes', async () => {
    const { call } = await running({
      admin: {
        host: '127.0.0.1',
        port: 0,
        token: 'secret',
        tokens: null,
        rates: null,
        isOff: false,
        unix: null,
        tls: undefined,
      },
    });
    const refused = await call('GET', '/status');
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toMatch(/^Bearer/);
    for (const [authorization, status] of [
      ['Bearer secret', 200],
      ['bearer secret', 200],
      ['Bearer secre', 401],
      ['Bearer secrets', 401],
      ['Basic c2VjcmV0', 401],
      ['Bearer', 401],
    ] as const) {
      const headers = { Authorization: authorization, Host: 'lb.example' };
      expect([authorization, (await call('GET', '/status', undefined, headers)).status]).toEqual([
        authorization,
        status,
      ]);
    }
    expect((await call('GET', '/livez', undefined, { Host: '10.0.0.1:9000' })).status).toBe(200);
    expect((await call('GET', '/readyz')).json).toEqual({ status: 'ready' });
    expect((await call('GET', '/metrics')).status).toBe(401);
    expect((await call('GET', '/nothing')).status).toBe(401);
  });

  it('takes no bodies over 1 MiB, announced or not', async () => {
    const { call, fairlead } = await running();
    const large = JSON.stringify({ url: 'x'.repeat(1024 * 1024) });
    expect((await call('POST', '/backends', large)).json).toMatchObject({
      code: 'ERR_BODY_TOO_LARGE',
    });
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const answer = await rawAnswer(
      fairlead.adminPort,
      `POST /backends HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect((await call('GET', '/livez')).status).toBe(200);
  });

  it('answers what is not HTTP in the same form', async () => {
    const { fairlead, call } = await running();
    expect(await rawAnswer(fairlead.adminPort, 'hello\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 400 .*ERR_BAD_REQUEST/s,
    );
    const large = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`;
    expect(await rawAnswer(fairlead.adminPort, large)).toMatch(
      /^HTTP\/1\.1 431 .*ERR_HEAD_TOO_LARGE/s,
    );
    expect(
      await rawAnswer(
        fairlead.adminPort,
        'GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      ),
    ).toMatch(/^HTTP\/1\.1 200 /);
    expect(
      await rawAnswer(
        fairlead.adminPort,
        'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      ),
    ).toMatch(/^HTTP\/1\.1 400 /);
    expect(
      await rawAnswer(
        fairlead.adminPort,
        'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
      ),
    ).toBe('');
    expect((await call('GET', '/livez')).status).toBe(200);
  });

  it('survives whatever is sent', async () => {
    const { call, log } = await running({ backends: [backend('http://127.0.0.1:1')] });
    const paths = [
      '/backends',
      '/backends/0',
      '/backends/0/status',
      '/strategy',
      '/config:validate',
      '/pools/default/backends',
      '/status',
      '/reload',
    ];
    const value = fc.oneof(
      fc.jsonValue(),
      fc.record({ url: fc.jsonValue(), weight: fc.jsonValue() }, { requiredKeys: [] }),
      fc.record(
        { alive: fc.jsonValue(), strategy: fc.jsonValue(), state: fc.jsonValue() },
        { requiredKeys: [] },
      ),
    );
    const body = fc.oneof(
      value.map((json) => JSON.stringify(json)),
      fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    );
    const segment = fc
      .string({ maxLength: 8, unit: 'grapheme' })
      .map((text) => encodeURIComponent(text));
    const path = fc.oneof(
      fc.constantFrom(...paths),
      fc.tuple(fc.constantFrom(...paths), segment).map(([start, end]) => `${start}/${end}`),
      segment.map((text) => `/backends/${text}`),
      segment.map((text) => `/backends/0?drain=${text}`),
    );
    const allowed = new Set([200, 201, 202, 400, 404, 405, 409, 422]);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
        path,
        body,
        async (method, where, what) => {
          const { status } = await call(method, where, method === 'GET' ? undefined : what);
          expect(
            allowed.has(status) ? 'fine' : `${method} ${where} ${String(what)}: ${status}`,
          ).toBe('fine');
        },
      ),
      { numRuns: 300 },
    );
    expect((await call('GET', '/status')).status).toBe(200);
    expect(await log()).not.toContain('admin.failed');
  });

  it('shows the config and its schema, and checks another one', async () => {
    const { call } = await running();
    expect((await call('GET', '/config')).json).toMatchObject({ config: { backends: [] } });
    expect((await call('GET', '/schema.json')).json).toEqual({ type: 'object' });
    expect((await call('POST', '/config:validate', 'good')).json).toMatchObject({
      valid: true,
      notes: [],
    });
    expect((await call('POST', '/config:validate', 'bad')).json).toMatchObject({
      status: 422,
      code: 'ERR_BAD_CONFIG',
      problems: [{ path: 'port', message: 'is no port' }],
    });
  });

  it('shows what operators changed in the config in force, and that it came from the API', async () => {
    const { call } = await running({
      backends: [backend('http://127.0.0.1:1'), backend('http://127.0.0.1:2', 3)],
    });
    await call('DELETE', '/backends/0');
    await call('PATCH', '/backends/1', { weight: 5 });
    await call('POST', '/backends', { url: 'http://127.0.0.1:4' });
    await call('PUT', '/strategy', { strategy: 'least-connections' });
    expect((await call('GET', '/config')).json).toMatchObject({
      config: {
        strategy: 'least-connections',
        backends: [{ url: 'http://127.0.0.1:2', weight: 5 }, 'http://127.0.0.1:4'],
      },
      origins: {
        strategy: 'api',
        'backends.0.url': 'default',
        'backends.0.weight': 'api',
        'backends.1': 'api',
      },
    });
  });

  it('reloads what can change, and refuses the rest whole', async () => {
    const proxy = await running({ backends: [backend('http://127.0.0.1:1')] });
    const { call } = proxy;
    expect((await call('POST', '/reload')).json).toMatchObject({ changed: false, generation: 1 });
    const the = settings({
      strategy: 'least-connections',
      backends: [backend('http://127.0.0.1:1', 2), backend('http://127.0.0.1:2')],
    });
    proxy.next = loaded(the);
    expect((await call('POST', '/reload')).json).toMatchObject({ changed: true, generation: 2 });
    expect((await call('GET', '/status')).json).toMatchObject({
      strategy: 'least-connections',
      backends: [{ id: 0, weight: 2 }, { id: 1 }],
    });
    proxy.next = loaded({ ...the, threads: 4, admin: { ...the.admin, host: '::1' } });
    expect((await call('POST', '/reload')).json).toMatchObject({
      status: 409,
      code: 'ERR_RESTART_NEEDED',
      keys: ['admin.host', 'threads'],
    });
    const refused = (await proxy.log()).split('\n').find((line) => line.includes('config.refused'));
    expect(JSON.parse(refused ?? '{}')).toMatchObject({
      keys: ['admin.host', 'threads'],
      msg: expect.stringMatching(/admin\.host, threads takes effect only .* "fairlead upgrade"/),
    });
    proxy.next = {
      ok: false,
      problems: [{ origin: 'file', path: 'port', message: 'is no port', line: 3 }],
    };
    expect((await call('POST', '/reload')).json).toMatchObject({
      status: 422,
      code: 'ERR_BAD_CONFIG',
      problems: [{ line: 3 }],
    });
    expect((await call('GET', '/status')).json).toMatchObject({ generation: 2, total_backends: 2 });
    const metrics = (await call('GET', '/metrics')).text;
    expect(metrics).toContain('fairlead_reload_total{result="success"} 2');
    expect(metrics).toContain('fairlead_reload_total{result="failure"} 2');
  });

  it('says that the last reload was refused for as long as that is so', async () => {
    const proxy = await running({ backends: [backend('http://127.0.0.1:1')] });
    const { call } = proxy;
    const shown = async (): Promise<unknown[]> => {
      const [{ text }, { json }] = [await call('GET', '/metrics'), await call('GET', '/status')];
      const gauge = /^fairlead_config_last_reload_successful (\d)$/m.exec(text)?.[1];
      return [gauge, (json as Record<string, unknown>)['refused_reload']];
    };
    const good = proxy.next;
    expect(await shown()).toEqual(['1', undefined]);
    proxy.next = { ok: false, problems: [{ origin: 'file', path: 'port', message: 'is no port' }] };
    await call('POST', '/reload');
    const refused = { at: expect.any(String), reason: expect.stringContaining('is no port') };
    expect(await shown()).toEqual(['0', refused]);
    proxy.next = good;
    // The file is not read.
    await call('POST', '/reload', undefined, { 'If-Match': '"99"' });
    expect(await shown()).toEqual(['0', refused]);
    await call('POST', '/reload');
    expect(await shown()).toEqual(['1', undefined]);
    await call('POST', '/reload', undefined, { 'If-Match': '"99"' });
    expect(await shown()).toEqual(['1', undefined]);
  });
});

async function startServer(routes: readonly Route[]) {
  const log = recordLog();
  const server = await startAdminServer({
    host: '127.0.0.1',
    unix: null,
    port: 0,
    access: () => ({
      host: '127.0.0.1',
      token: undefined,
      tokens: null,
      rates: null,
      isOff: false,
      unix: null,
    }),
    routes,
    log,
    explain: () => undefined,
    requestTimeoutMs: 200,
  });
  afterTest(() => server.close(0));
  return { server, log };
}

describe('the admin server', () => {
  it('waits for no slow client, in the head or in the body', async () => {
    const { server } = await startServer([
      {
        path: '/x',
        summary: '',
        methods: { POST: { says: '', answers: {}, handle: () => ({ status: 204 }) } },
      },
    ]);
    expect(await rawAnswer(server.port, 'POST /x HTTP/1.1\r\nHo')).toMatch(/^HTTP\/1\.1 408 /);
    await rawAnswer(
      server.port,
      'POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab',
    );
  });

  it('answers 500 and logs when a handler fails', async () => {
    const { server, log } = await startServer([
      {
        path: '/x',
        summary: '',
        methods: {
          GET: {
            says: '',
            answers: {},
            handle: () => {
              throw new Error('a mistake');
            },
          },
        },
      },
    ]);
    const answer = await rawAnswer(
      server.port,
      'GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 500 .*ERR_INTERNAL/s);
    expect(answer).not.toContain('a mistake');
    expect(log.events()).toEqual(['admin.failed']);
  });
});
