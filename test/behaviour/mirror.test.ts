/** `mirror`: copies of requests go to another pool, and the requests themselves don't notice. */
import { expect, test } from 'vitest';
import type { Fairlead } from '../support/fairlead.ts';
import { rawClient } from '../support/raw-client.ts';
import { reusedFairlead } from '../support/reused-fairlead.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import {
  answer,
  type Connection,
  get,
  HANDSHAKE,
  metrics,
  QUIET_HEALTH,
  rise,
  type ScriptedBackend,
  SWITCHED,
  scriptedBackend,
  silent,
} from './stage.ts';

type Config = Readonly<Record<string, unknown>>;

interface Site {
  readonly fairlead: Fairlead;
  readonly web: ScriptedBackend;
  readonly shadow: ScriptedBackend;
  /** Of the pool `shadow`, by the name of a metric and further labels. */
  count(name: string, labels?: string): Promise<number>;
  /** Of all codes. */
  errors(): Promise<number>;
}

const SHADOW_CHECK = { health_check: { method: 'tcp', frequency: '1h', timeout: '10s' } } as const;

async function site({
  mirror = {},
  shadowPool = {},
  ...config
}: { readonly mirror?: Config; readonly shadowPool?: Config } & Config = {}): Promise<Site> {
  const [web, shadow] = [await scriptedBackend(), await scriptedBackend()];
  const fairlead = await reusedFairlead({
    args: ['--threads', '1'],
    config: {
      ...QUIET_HEALTH,
      backends: [web.url],
      pools: { shadow: { ...SHADOW_CHECK, backends: [shadow.url], ...shadowPool } },
      routes: [{ pool: 'default', mirror: { pool: 'shadow', ...mirror } }],
      ...config,
    },
  });
  for (const { url } of [web, shadow]) {
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(url) === true,
    );
  }
  const before = await metrics(fairlead);
  const count = async (name: string, labels = ''): Promise<number> =>
    rise(before, await metrics(fairlead), `fairlead_${name}{pool="shadow"${labels}}`);
  const errors = async (): Promise<number> => {
    const after = await metrics(fairlead);
    const codes = Array.from(after.keys()).filter((name) =>
      name.startsWith('fairlead_errors_total'),
    );
    return codes.reduce((sum, name) => sum + rise(before, after, name), 0);
  };
  return { fairlead, web, shadow, count, errors };
}

async function ask({ fairlead }: Site, request: string): Promise<string> {
  const client = await rawClient(fairlead.port);
  await client.write(request);
  const { status, body } = await client.readResponse();
  client.end();
  return `${status} ${body}`;
}

function inFlight({ shadow, count }: Site): Promise<number> {
  return count('backend_requests_in_flight', `,backend="${shadow.url}"`);
}

interface Echo {
  readonly script: (connection: Connection, head: string) => Promise<void>;
  /** Heads and bodies. */
  readonly got: string[];
}

/** Answers once the body is there, whether it comes with its length or in chunks: when it is held too long, it does. */
function echo(length: number): Echo {
  const got: string[] = [];
  const script = async (connection: Connection, head: string): Promise<void> => {
    const isChunked = /^Transfer-Encoding: chunked/im.test(head);
    const body = isChunked
      ? await connection.readUntil('0\r\n\r\n')
      : String(await connection.readBytes(length));
    got.push(`${head}${body}`);
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  };
  return { script, got };
}

function postOf(length: number): string {
  return `POST /${length} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`;
}

test('the copy is the request: method, path, fields, body, and the same id', async () => {
  const the = await site();
  const [ofWeb, ofShadow] = [echo(5), echo(5)];
  the.web.on('/a?b=c', ofWeb.script);
  the.shadow.on('/a?b=c', ofShadow.script);
  const request = 'PUT /a?b=c HTTP/1.1\r\nHost: shop\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello';
  expect(await ask(the, request)).toBe('200 ok');
  await waitFor(() => ofShadow.got.length === 1, LONG_MS);
  expect(ofShadow.got).toEqual(ofWeb.got);
  expect(ofShadow.got[0]).toMatch(
    /^PUT \/a\?b=c HTTP\/1\.1\r\n[^]*Host: shop\r\n[^]*X-Request-Id: /,
  );
});

test('a chunked body goes on with its length, whatever piece by piece it came in', async () => {
  const the = await site();
  const [ofWeb, ofShadow] = [echo(10), echo(10)];
  the.web.on('/up', ofWeb.script);
  the.shadow.on('/up', ofShadow.script);
  const client = await rawClient(the.fairlead.port);
  await client.write('POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  for (const part of ['5\r\nhe', 'llo\r\n', '5\r\nworld\r\n', '0\r\n', '\r\n'])
    await client.write(part);
  expect((await client.readResponse()).status).toBe(200);
  client.end();
  await waitFor(() => ofShadow.got.length === 1, LONG_MS);
  expect(ofShadow.got[0]).toMatch(/Content-Length: 10\r\n\r\nhelloworld$/);
});

test('the pool of the copy has its own Host, and its own way to answer changes nothing', async () => {
  const the = await site({
    shadowPool: { host_header: 'shadow.example', sticky: { by: 'cookie' } },
  });
  const seen: string[] = [];
  the.shadow.on('/1', async (connection, head) => {
    seen.push(head);
    await connection.write('HTTP/1.1 500 No\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n');
  });
  const client = await rawClient(the.fairlead.port);
  await client.write(get('/1'));
  const response = await client.readResponse();
  client.end();
  expect([response.status, response.fields.get('set-cookie')]).toEqual([200, undefined]);
  await waitFor(() => seen.length === 1, LONG_MS);
  expect(seen[0]).toContain('Host: shadow.example\r\n');
  await waitFor(
    async () =>
      (await the.count('requests_total', `,backend="${the.shadow.url}",code="500"`)) === 1,
  );
});

test('a pool that never answers holds so many copies and no more, and no request', async () => {
  const the = await site({ shadowPool: { timeouts: { response: '1h', total: '1h' } } });
  the.shadow.on('/1', silent);
  const client = await rawClient(the.fairlead.port);
  for (let one = 0; one < 150; one++) {
    await client.write(get('/1'));
    expect((await client.readResponse()).status).toBe(200);
  }
  client.end();
  await waitFor(async () => (await inFlight(the)) === 128, LONG_MS);
  expect(await the.count('mirrored_requests_total')).toBe(128);
  expect(await the.count('mirrors_skipped_total', ',reason="busy"')).toBe(22);
  // Nor does it hold up the end.
  expect(await the.fairlead.stop()).toBe(0);
});

test('the timeouts of its own pool end a copy', async () => {
  const the = await site({ shadowPool: { timeouts: { total: '200ms' } } });
  the.shadow.on('/1', silent);
  expect(await ask(the, get('/1'))).toBe('200 ok');
  const late = `,backend="${the.shadow.url}",code="504"`;
  await waitFor(async () => (await the.count('requests_total', late)) === 1, LONG_MS);
  expect(await inFlight(the)).toBe(0);
  // It is nobody's error, and nobody's line in the log.
  expect(await the.errors()).toBe(0);
  expect(await ask(the, get('/2'))).toBe('200 ok');
  await waitFor(() => the.fairlead.accessLines().length >= 2, LONG_MS);
  expect(the.fairlead.accessLines().map(({ pool }) => pool)).toEqual([undefined, undefined]);
});

test('an answer without an end is not read for ever', async () => {
  const the = await site();
  const sent: number[] = [];
  the.shadow.on('/1', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(0x1_00_00)}\r\n`;
    while (!connection.socket.destroyed) {
      const isOver = await Promise.race([
        connection.write(chunk),
        connection.closed.then(() => true),
      ]);
      if (isOver === true) break;
      sent.push(chunk.length);
    }
  });
  expect(await ask(the, get('/1'))).toBe('200 ok');
  const connection = await the.shadow.request('/1');
  await connection.closed;
  await waitFor(async () => (await inFlight(the)) === 0, LONG_MS);
  expect(sent.length).toBeGreaterThan(10);
});

test('a body longer than the replay buffer is not mirrored, and counted', async () => {
  const the = await site({ retries: { replay_buffer: 8 } });
  for (const length of [8, 9]) the.web.on(`/${length}`, echo(length).script);
  const shadowed = echo(8);
  the.shadow.on('/8', shadowed.script);
  expect(await ask(the, postOf(9))).toBe('200 ok');
  expect(await ask(the, postOf(8))).toBe('200 ok');
  await waitFor(() => shadowed.got.length === 1, LONG_MS);
  expect(the.shadow.served('/9')).toEqual([]);
  expect(await the.count('mirrors_skipped_total', ',reason="body"')).toBe(1);
  expect(await the.count('mirrored_requests_total')).toBe(1);
});

test('a pool that is down costs nothing', async () => {
  const the = await site({ shadowPool: { outlier_detection: false } });
  await the.shadow.raw.close();
  for (let one = 0; one < 20; one++) expect(await ask(the, get(`/${one}`))).toBe('200 ok');
  await waitFor(async () => (await the.count('mirrored_requests_total')) === 20, LONG_MS);
  await waitFor(async () => (await inFlight(the)) === 0, LONG_MS);
});

test('a share of the requests, if that is what is asked for', async () => {
  const the = await site({ mirror: { percent: 12.5 } });
  const client = await rawClient(the.fairlead.port);
  for (let one = 0; one < 200; one++) {
    await client.write(get('/1'));
    expect((await client.readResponse()).status).toBe(200);
  }
  client.end();
  const copies = () => the.shadow.served('/1').length;
  await waitFor(async () => (await the.count('mirrored_requests_total')) === copies(), LONG_MS);
  expect(Math.abs(copies() - 25)).toBeLessThan(4);
});

test('a request that is refused is not mirrored', async () => {
  const the = await site({
    limits: { body: 4 },
    rate_limit: { rate: 1, per: '1h', burst: 2 },
  });
  expect(await ask(the, 'POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')).toMatch(
    /^413/,
  );
  const chunked =
    'POST /big HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
  expect(await ask(the, chunked)).toMatch(/^413/);
  expect(await ask(the, get('/1'))).toBe('200 ok');
  expect(await ask(the, get('/2'))).toMatch(/^429/);
  await the.shadow.request('/1');
  expect(await the.count('mirrored_requests_total')).toBe(1);
});

test('who may not ask is not mirrored, and a split is, wherever its requests go', async () => {
  const the = await site({
    routes: [
      { path: '/denied/', pool: 'default', deny: ['127.0.0.1'], mirror: { pool: 'shadow' } },
      { path: '/closed/', pool: 'default', maintenance: true, mirror: { pool: 'shadow' } },
      { split: [{ pool: 'default' }], mirror: { pool: 'shadow' } },
    ],
  });
  expect(await ask(the, get('/denied/1'))).toMatch(/^403/);
  expect(await ask(the, get('/closed/1'))).toMatch(/^503/);
  expect(await ask(the, get('/1'))).toBe('200 ok');
  await the.shadow.request('/1');
  expect(await the.count('mirrored_requests_total')).toBe(1);
});

test('a client that leaves in its body takes the copy along; behind it, the copy goes on', async () => {
  const the = await site();
  the.web.on('/whole', silent);
  const shadowed = echo(5);
  the.shadow.on('/whole', shadowed.script);
  const half = await rawClient(the.fairlead.port);
  await half.write('POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe');
  await the.web.request('/half');
  half.reset();
  await waitFor(() => the.fairlead.accessLines().some(({ path }) => path === '/half'), LONG_MS);
  const whole = await rawClient(the.fairlead.port);
  await whole.write('POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
  await the.shadow.request('/whole');
  whole.reset();
  await waitFor(() => shadowed.got.length === 1, LONG_MS);
  expect(the.shadow.served('/half')).toEqual([]);
  await waitFor(
    async () =>
      (await the.count('requests_total', `,backend="${the.shadow.url}",code="200"`)) === 1,
    LONG_MS,
  );
});

test('a handshake is not mirrored', async () => {
  const the = await site();
  the.web.on('/ws', answer(SWITCHED));
  const client = await rawClient(the.fairlead.port);
  await client.write(get('/ws', HANDSHAKE));
  expect((await client.readResponse()).status).toBe(101);
  client.reset();
  expect(await ask(the, get('/1'))).toBe('200 ok');
  await the.shadow.request('/1');
  expect(the.shadow.served('/ws')).toEqual([]);
});

test('a reload takes the mirror away, and copies that are under way end', async () => {
  const the = await site();
  the.shadow.on('/1', silent);
  expect(await ask(the, get('/1'))).toBe('200 ok');
  const connection = await the.shadow.request('/1');
  const backends = `${the.fairlead.adminUrl}/pools/shadow/backends`;
  const [{ id } = { id: -1 }] = (await (await fetch(backends)).json()) as { id: number }[];
  const removal = await fetch(`${backends}/${id}`, { method: 'DELETE' });
  expect(removal.status).toBeLessThan(300);
  await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  await connection.closed;
  expect(await ask(the, get('/2'))).toBe('200 ok');
  // There is nobody to send it to.
  const unserved = 'requests_total';
  await waitFor(
    async () => (await the.count(unserved, ',backend="none",code="503"')) === 1,
    LONG_MS,
  );
});
