/** `rate_limit`: what a client over its limit is told, and who counts as one client. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type RawResponse, rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';
import { type NamedPool, startPool } from './named-pool.ts';
import { get, metrics } from './stage.ts';

/** Nobody gets a request back while a test lasts. */
const THREE = { rate: 3, per: '1h' } as const;
const TRUSTING = { trusted_proxies: ['127.0.0.1'] } as const;

function from(address: string): string {
  return `X-Forwarded-For: ${address}`;
}

/** How many of so many requests were let through. */
async function passed(the: NamedPool, count: number, fields: readonly string[]): Promise<number> {
  return (await the.names(count, fields)).filter((name) => name !== '429').length;
}

async function overLimit(the: NamedPool, count: number): Promise<RawResponse> {
  expect(await passed(the, count, [])).toBe(count);
  return the.ask();
}

test('one too many: 429, how long to wait, and what the limit is', async () => {
  const the = await startPool(1, { rate_limit: { rate: 2, per: '1m', burst: 3 } });
  const { status, fields, body } = await overLimit(the, 3);
  expect([status, String(body)]).toEqual([
    429,
    '429 Too Many Requests: The client has sent too many requests. (ERR_RATE_LIMITED)\n',
  ]);
  const [wait] = fields.get('retry-after') ?? [];
  // The next one would come after 30 s, and some time has passed since the first.
  expect(['28', '29', '30']).toContain(wait);
  expect(fields.get('ratelimit')).toEqual([`"default";r=0;t=${wait}`]);
  expect(fields.get('ratelimit-policy')).toEqual(['"default";q=2;w=60']);
  expect(fields.get('proxy-status')).toEqual(['fairlead; error=http_request_denied']);
  expect(fields.get('cache-control')).toEqual(['no-store']);
  expect(fields.get('connection')).toBeUndefined();
  // Nothing of it came to the backend.
  expect(the.backend(0).requests).toBe(3);
});

test('in JSON for who accepts that, and without a body for a HEAD', async () => {
  const the = await startPool(1, { rate_limit: THREE });
  await overLimit(the, 3);
  const json = await the.ask({ fields: ['Accept: application/json'] });
  expect(JSON.parse(String(json.body))).toMatchObject({
    status: 429,
    code: 'ERR_RATE_LIMITED',
    source: 'client',
  });
  const client = await rawClient(the.fairlead.port);
  await client.write(the.get('/', [], 'HEAD'));
  expect((await client.readResponse({ hasBody: false })).status).toBe(429);
  // The connection goes on right behind the head.
  await client.write(the.get('/'));
  expect((await client.readResponse()).status).toBe(429);
});

test('the time that it names is the time after which one more is let through', async () => {
  const the = await startPool(1, { rate_limit: { rate: 1, per: '3s' } });
  const { fields } = await overLimit(the, 1);
  const seconds = Number(fields.get('retry-after')?.[0]);
  expect([1, 2, 3]).toContain(seconds);
  await sleep(seconds * 1_000 + 50);
  expect((await the.ask()).status).toBe(200);
  expect((await the.ask()).status).toBe(429);
});

test('is in the access log and in the metrics', async () => {
  const the = await startPool(1, { rate_limit: THREE }, { isAlone: true });
  await overLimit(the, 3);
  const line = await waitFor(() => the.fairlead.accessLines().find((one) => one['status'] === 429));
  expect(line).toMatchObject({
    error: 'ERR_RATE_LIMITED',
    error_source: 'client',
    error_detail: 'over 3 requests in 3600000 ms',
  });
  expect(line).not.toHaveProperty('backend');
  expect(line).not.toHaveProperty('attempts');
  const samples = await metrics(the.fairlead);
  expect(samples.get('fairlead_errors_total{code="ERR_RATE_LIMITED"}')).toBe(1);
  expect(samples.get('fairlead_requests_total{pool="default",backend="none",code="429"}')).toBe(1);
});

describe('a refused request with a body does not poison its connection', () => {
  const inside = get('/inside', []);
  test.each([
    ['announced', `Content-Length: ${inside.length}`, inside],
    [
      'chunked',
      'Transfer-Encoding: chunked',
      `${inside.length.toString(16)}\r\n${inside}\r\n0\r\n\r\n`,
    ],
  ])('%s', async (_name, field, body) => {
    const the = await startPool(1, { rate_limit: THREE }, { isAlone: true });
    await overLimit(the, 3);
    for (const parts of [
      [get('/post', [field], 'POST') + body],
      [get('/post', [field], 'POST'), body],
    ]) {
      const client = await rawClient(the.fairlead.port);
      for (const part of parts) await client.write(part);
      await client.write(get('/behind')).catch(() => {});
      expect((await client.readResponse()).status).toBe(429);
      client.end();
      await client.closed;
      // At most the request behind it has an answer.
      expect(client.text.match(/HTTP\/1\.1 /g)?.length).toBeLessThanOrEqual(2);
    }
    await the.ask({ path: '/last' });
    await waitFor(() => the.fairlead.accessLines().some((line) => line['path'] === '/last'));
    const paths = the.fairlead.accessLines().map((line) => line['path']);
    expect(paths).not.toContain('/inside');
    expect(the.fairlead.accessLines().filter(({ status }) => status === 400)).toEqual([]);
    expect(the.backend(0).requests).toBe(3);
  });

  test('that waits for a 100 Continue gets its answer, and none', async () => {
    const the = await startPool(1, { rate_limit: THREE });
    await overLimit(the, 3);
    const client = await rawClient(the.fairlead.port);
    await client.write(the.get('/', ['Content-Length: 5', 'Expect: 100-continue'], 'PUT'));
    expect((await client.readResponse()).status).toBe(429);
    expect(client.text).not.toContain('100 Continue');
  });
});

describe('who is one client', () => {
  test('an address; IPv6: its /64', async () => {
    const the = await startPool(1, { rate_limit: THREE, ...TRUSTING });
    expect(await passed(the, 4, [from('192.0.2.1')])).toBe(3);
    expect(await passed(the, 4, [from('192.0.2.2')])).toBe(3);
    // The one that is mapped into IPv6 is the first again.
    expect(await passed(the, 1, [from('::ffff:192.0.2.1')])).toBe(0);
    expect(await passed(the, 2, [from('2001:db8:0:1::1')])).toBe(2);
    expect(await passed(the, 2, [from('2001:db8:0:1:ffff::9')])).toBe(1);
    expect(await passed(the, 4, [from('2001:db8:0:2::1')])).toBe(3);
  });

  test('an address is not what somebody untrusted says it is', async () => {
    const the = await startPool(1, { rate_limit: THREE });
    expect(await passed(the, 2, [from('192.0.2.1')])).toBe(2);
    expect(await passed(the, 2, [from('192.0.2.2')])).toBe(1);
  });

  test('a header field; without it, the address', async () => {
    const the = await startPool(1, { rate_limit: { ...THREE, by: 'header', name: 'X-Api-Key' } });
    expect(await passed(the, 4, ['x-api-key: one'])).toBe(3);
    expect(await passed(the, 4, ['x-api-key: two'])).toBe(3);
    expect(await passed(the, 4, [])).toBe(3);
    // Nobody pays for an address by writing it.
    expect(await passed(the, 4, ['x-api-key: 127.0.0.1'])).toBe(3);
  });

  test('a cookie; without it, the address', async () => {
    const the = await startPool(1, { rate_limit: { ...THREE, by: 'cookie', name: 'user' } });
    expect(await passed(the, 4, ['Cookie: a=b; user=one'])).toBe(3);
    expect(await passed(the, 4, ['Cookie: user=two'])).toBe(3);
    expect(await passed(the, 4, ['Cookie: a=b'])).toBe(3);
  });
});

test('counts over all data threads', async () => {
  const the = await startPool(
    1,
    { rate_limit: { rate: 20, per: '1h' } },
    { args: ['--threads', '2'] },
  );
  // A connection each, so that both threads get some.
  const answers = await Promise.all(Array.from({ length: 60 }, () => the.ask()));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
});

async function reload(the: NamedPool, change: Readonly<Record<string, unknown>>) {
  const file = join(the.fairlead.cwd, 'fairlead.config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...config, ...change }));
  expect(await the.call('POST', '/reload')).toMatchObject({
    status: 200,
    json: { changed: true },
  });
}

describe('a reload', () => {
  test('that leaves the limit as it was forgets nobody', async () => {
    const the = await startPool(1, { rate_limit: THREE }, { isAlone: true });
    await overLimit(the, 3);
    await reload(the, { strategy: 'random-two' });
    expect((await the.ask()).status).toBe(429);
  });

  test('with another limit: that one holds', async () => {
    const the = await startPool(1, { rate_limit: THREE }, { isAlone: true });
    await overLimit(the, 3);
    await reload(the, { rate_limit: { rate: 1000, per: '1s' } });
    await waitFor(async () => (await the.ask()).status === 200);
    expect(await passed(the, 20, [])).toBe(20);
    await reload(the, { rate_limit: false });
    expect(await passed(the, 20, [])).toBe(20);
    await reload(the, { rate_limit: THREE });
    expect(await passed(the, 4, ['X-Any: thing'])).toBeLessThanOrEqual(3);
  });
});

test('a limit is no business of backends: their health checks are not counted', async () => {
  const the = await startPool(1, {
    rate_limit: { rate: 1, per: '1h' },
    health_check_frequency: '20ms',
  });
  await waitFor(
    async () =>
      ((await metrics(the.fairlead)).get(
        `fairlead_health_checks_total{pool="${the.fairlead.pool}",backend="${the.backend(0).url}",result="pass"}`,
      ) ?? 0) > 5,
  );
  expect((await the.ask()).status).toBe(200);
});
