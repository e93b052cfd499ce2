/** What the dashboard is made of, as the admin API answers it. The page itself: test/peers/on-one-version/. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/config/read/admin-token.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

interface Came {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Nothing is unpacked, and nothing is sent that is not said. */
async function ask(
  { adminPort }: Fairlead,
  headers: http.OutgoingHttpHeaders,
  method = 'GET',
  path = '/',
): Promise<Came> {
  const request = http.request({ port: adminPort, path, method, headers, agent: false });
  request.end();
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  const body = Buffer.concat(await answer.toArray());
  return { status: answer.statusCode ?? 0, headers: answer.headers, body };
}

async function json(fairlead: Fairlead, path: string, token = ''): Promise<unknown> {
  const headers = token === '' ? {} : { Authorization: `Bearer ${token}` };
  return (await fetch(fairlead.adminUrl + path, { headers })).json();
}

/** The token is its name. */
function tokenLine(name: string, role: string): string {
  return `${name} ${role} sha256:${digestOf(name).toString('hex')}\n`;
}

test('a browser gets the dashboard, everybody else the list of calls', async () => {
  const fairlead = await startFairlead();
  const kindOf = async (accept: string | undefined): Promise<string> => {
    const { status, headers } = await ask(fairlead, accept === undefined ? {} : { accept });
    expect([status, headers.vary]).toEqual([200, 'Accept, Accept-Encoding']);
    return headers['content-type'] ?? '';
  };
  for (const accept of [BROWSER, 'text/html', 'application/json;q=0.5, Text/HTML;q=0.5'])
    expect([accept, await kindOf(accept)]).toEqual([accept, 'text/html; charset=utf-8']);
  for (const accept of [
    undefined,
    '*/*',
    '',
    'application/json',
    'application/json, text/html;q=0.9',
    'text/html;q=0',
    'text/html;q=x',
    'text/*',
  ])
    expect([accept, await kindOf(accept)]).toEqual([accept, 'application/json']);
  expect((await ask(fairlead, { accept: BROWSER }, 'POST')).status).toBe(405);
});

test('the page is small, comes compressed, and is asked for again for next to nothing', async () => {
  const fairlead = await startFairlead();
  const plain = await ask(fairlead, { accept: BROWSER });
  const packed = await ask(fairlead, { accept: BROWSER, 'accept-encoding': 'br, gzip;q=0.5' });
  expect(packed.headers['content-encoding']).toBe('gzip');
  expect(gunzipSync(packed.body)).toEqual(plain.body);
  expect(packed.body.length).toBeLessThan(100_000);
  expect(plain.headers['content-encoding']).toBeUndefined();
  const refused = await ask(fairlead, { accept: BROWSER, 'accept-encoding': 'gzip;q=0' });
  expect(refused.body).toEqual(plain.body);
  const { etag = '' } = plain.headers;
  for (const tag of [etag, `"other", W/${etag}`]) {
    const again = await ask(fairlead, { accept: BROWSER, 'if-none-match': tag });
    expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, etag]);
  }
  expect((await ask(fairlead, { accept: BROWSER, 'if-none-match': '"x"' })).status).toBe(200);
  const head = await ask(fairlead, { accept: BROWSER }, 'HEAD');
  expect([head.headers['content-length'], head.body.length]).toEqual([
    String(plain.body.length),
    0,
  ]);
});

test('nothing runs in the page but what is in it, and nobody may frame it', async () => {
  const fairlead = await startFairlead();
  const { headers, body } = await ask(fairlead, { accept: BROWSER });
  expect(headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'DENY',
  });
  const inside = (tag: string): string[] =>
    Array.from(
      body.toString().matchAll(new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`, 'g')),
      ([, code = '']) => `'sha256-${createHash('sha256').update(code).digest('base64')}'`,
    );
  const [script, ...scripts] = inside('script');
  const [style, ...styles] = inside('style');
  expect([scripts, styles]).toEqual([[], []]);
  expect(String(headers['content-security-policy']).split('; ')).toEqual([
    "default-src 'none'",
    `script-src ${script}`,
    `style-src ${style}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ]);
  // Nothing is loaded from anywhere: all that it needs is inside.
  expect(body.toString()).not.toMatch(/<(?:script|link|img|iframe)[^>]*(?:src|href)="(?!data:)/);
});

test('the page needs no token, since it has no secret; all that it asks for does', async () => {
  const folder = temporaryFolder('dashboard');
  writeFileSync(join(folder, 'tokens'), tokenLine('look', 'viewer') + tokenLine('act', 'operator'));
  const fairlead = await startFairlead({
    config: { admin: { tokens_file: 'tokens' } },
    cwd: folder,
  });
  expect((await ask(fairlead, { accept: BROWSER })).status).toBe(200);
  expect((await ask(fairlead, { accept: BROWSER }, 'HEAD')).status).toBe(200);
  expect((await ask(fairlead, { accept: BROWSER }, 'POST')).status).toBe(401);
  for (const path of ['/', '/totals', '/whoami', '/config:changes'])
    expect([path, (await ask(fairlead, {}, 'GET', path)).status]).toEqual([path, 401]);
  expect((await ask(fairlead, { accept: BROWSER }, 'GET', '/totals')).status).toBe(401);
  expect(await json(fairlead, '/whoami', 'look')).toMatchObject({ role: 'viewer', token: 'look' });
  expect(await json(fairlead, '/whoami', 'act')).toMatchObject({ role: 'operator', token: 'act' });
});

interface Totals {
  readonly pid: number;
  readonly statuses: Record<string, number>;
  readonly errors: Record<string, number>;
  readonly duration_bounds_seconds: number[];
  readonly pools: {
    readonly name: string;
    readonly statuses: Record<string, number>;
    readonly durations: number[];
    readonly backends: { readonly requests: number; readonly server_errors: number }[];
  }[];
}

test('totals add up: every answer once, by pool and status', async () => {
  const backend = await httpBackend(({ url }, response) => {
    response.statusCode = url === '/bad' ? 500 : 200;
    response.end();
  });
  const fairlead = await startFairlead({
    config: {
      backends: [backend.url],
      pools: { empty: { backends: [] } },
      routes: [
        { path: '/empty/', pool: 'empty' },
        { path: '/moved', redirect: { to: '/', status: 308 } },
      ],
    },
  });
  for (const path of ['/', '/', '/bad', '/empty/x', '/moved'])
    await (await fetch(fairlead.url + path, { redirect: 'manual' })).text();
  const totals = await waitFor(async () => {
    const seen = (await json(fairlead, '/totals')) as Totals;
    const isCounted = seen.statuses['308'] === 1 && seen.pools[0]?.backends[0]?.requests === 3;
    return isCounted ? seen : undefined;
  });
  expect(totals).toMatchObject({
    pid: fairlead.pid,
    generation: 1,
    errors: { ERR_NO_BACKEND: 1 },
    left_out: { pools: 0, backends: 0 },
    leaving: [],
    pools: [
      { name: 'default', routed: true, statuses: { 200: 2, 500: 1 }, queued: 0 },
      { name: 'empty', routed: true, statuses: { 503: 1 }, backends: [] },
    ],
  });
  const [pool] = totals.pools;
  expect(pool?.backends).toMatchObject([{ id: 0, url: backend.url, server_errors: 1, conns: 0 }]);
  expect(pool?.durations).toHaveLength(totals.duration_bounds_seconds.length + 1);
  expect(pool?.durations.reduce((sum, count) => sum + count)).toBe(3);
});

test('the file is held against what runs, and neither is changed by it', async () => {
  const config = { strategy: 'round-robin', backends: [{ url: 'http://127.0.0.1:1', weight: 1 }] };
  const fairlead = await startFairlead({ config });
  const file = join(fairlead.cwd, 'fairlead.config.json');
  expect(await json(fairlead, '/config:changes')).toMatchObject({ changed: false, changes: [] });
  writeFileSync(file, JSON.stringify({ ...config, strategy: 'ip-hash' }));
  for (let round = 0; round < 2; round++) {
    expect(await json(fairlead, '/config:changes')).toMatchObject({
      changed: true,
      changes: [{ path: 'strategy', change: 'changed', before: 'round-robin', after: 'ip-hash' }],
    });
  }
  expect(await json(fairlead, '/strategy')).toMatchObject({ strategy: 'round-robin' });
  writeFileSync(file, '{ "strategi": 1 }');
  expect(await json(fairlead, '/config:changes')).toMatchObject({
    status: 422,
    code: 'ERR_BAD_CONFIG',
    problems: [{ path: 'strategi', line: 1 }],
  });
  expect(fairlead.logs().filter(({ event }) => event?.startsWith('config.re'))).toEqual([]);
});

test('a look at the file does not keep a watched one from being taken up', async () => {
  const fairlead = await startFairlead({ config: { strategy: 'round-robin' }, isWatched: true });
  writeFileSync(join(fairlead.cwd, 'fairlead.config.json'), '{"strategy":"ip-hash"}');
  expect(await json(fairlead, '/config:changes')).toHaveProperty('changed');
  await fairlead.waitForLog(({ event }) => event === 'config.reloaded');
});
