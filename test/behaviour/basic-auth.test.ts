/** `basic_auth` of a route: who gets in, what the backend sees of it, and what becomes of a body meanwhile. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';
import { cheapHash, dearHash } from '../support/password-hash.ts';
import { type RawResponse, rawClient } from '../support/raw-client.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';
import { get, leftover, metrics, NOTHING, QUIET_HEALTH, scriptedBackend } from './stage.ts';

type Config = Readonly<Record<string, unknown>>;

async function site(routes: readonly Config[], more: Config = {}) {
  const backend = await scriptedBackend();
  const config = { ...QUIET_HEALTH, backends: [backend.url], routes, ...more };
  const fairlead = await startFairlead({ config });
  await fairlead.waitForLog(({ event }) => event === 'backend.up');
  return { fairlead, backend, config };
}

function credentials(text: string): string {
  return `Authorization: Basic ${Buffer.from(text, 'utf8').toString('base64')}`;
}

async function ask(fairlead: Fairlead, request: string): Promise<RawResponse> {
  const client = await rawClient(fairlead.port);
  await client.write(request);
  const response = await client.readResponse();
  client.end();
  return response;
}

const USERS = { alice: cheapHash('secret'), 'jürgen k': cheapHash('a:b:ü') };

test('users get in with their password, and nobody else', async () => {
  const { fairlead, backend } = await site([
    { path: '/in', pool: 'default', basic_auth: { realm: 'The "inner" \\ room', users: USERS } },
    {
      path: '/forward',
      pool: 'default',
      basic_auth: { users: USERS, forward_authorization: true },
    },
    { path: '/answer', respond: { body: 'inside' }, basic_auth: { users: USERS } },
  ]);
  const seen: string[] = [];
  for (const path of ['/in', '/forward']) {
    backend.on(path, async (connection, head) => {
      seen.push(/^authorization: .*$/im.exec(head)?.[0] ?? 'none');
      await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  }
  const statusOf = async (path: string, ...fields: string[]): Promise<number> =>
    (await ask(fairlead, get(path, fields))).status;
  const refused = await ask(fairlead, get('/in'));
  expect(refused.status).toBe(401);
  expect(refused.fields.get('www-authenticate')).toEqual([
    String.raw`Basic realm="The \"inner\" \\ room", charset="UTF-8"`,
  ]);
  for (const wrong of ['alice:Secret', 'alice:', ':secret', 'Alice:secret', 'bob:secret']) {
    expect([wrong, await statusOf('/in', credentials(wrong))]).toEqual([wrong, 401]);
  }
  const good = credentials('alice:secret');
  expect(await statusOf('/in', good, good)).toBe(401);
  expect(backend.served('/in')).toHaveLength(0);
  expect(await statusOf('/in', good)).toBe(200);
  expect(await statusOf('/in', credentials('jürgen k:a:b:ü'))).toBe(200);
  expect(await statusOf('/forward', good)).toBe(200);
  expect(await statusOf('/answer')).toBe(401);
  expect(String((await ask(fairlead, get('/answer', [good]))).body)).toBe('inside');
  // Where nobody is asked for them, they are none of our business.
  expect(await statusOf('/free', credentials('x:y'))).toBe(200);
  expect(seen).toEqual(['none', 'none', good]);
  const line = await waitFor(() => fairlead.accessLines().find(({ status }) => status === 401));
  expect(line).toMatchObject({ route: 'routes.0', error: 'ERR_LOGIN_NEEDED' });
  expect(fairlead.output()).not.toContain('secret');
});

test('a body waits for the password, and goes on as it came', async () => {
  const { fairlead, backend } = await site([
    { path: '/up', pool: 'default', basic_auth: { users: USERS } },
  ]);
  const bodies: string[] = [];
  backend.on('/up', async (connection, head) => {
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    bodies.push((await connection.readBytes(length)).toString('latin1'));
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const good = credentials('alice:secret');
  const client = await rawClient(fairlead.port);
  // The first is to be computed, with all that comes behind it here already.
  const chunked = get('/up', [good, 'Transfer-Encoding: chunked'], 'POST');
  await client.write(
    `${get('/up', [good, 'Content-Length: 4'], 'POST')}one!${chunked}3\r\ntwo\r\n0\r\n\r\n${get('/free')}`,
  );
  const statuses: number[] = [];
  for (let count = 0; count < 3; count++) statuses.push((await client.readResponse()).status);
  expect(statuses).toEqual([200, 200, 200]);
  expect(bodies).toEqual(['one!', 'two']);
  // Who is wrong, with a body that is complete, may go on on the same connection.
  await client.write(`${get('/up', [credentials('alice:no'), 'Content-Length: 3'], 'POST')}abc`);
  expect((await client.readResponse()).status).toBe(401);
  await client.write(get('/free'));
  expect((await client.readResponse()).status).toBe(200);
  client.end();
  // No byte of it is asked for before: RFC 9110 §10.1.1.
  const waiting = await rawClient(fairlead.port);
  const expecting = [credentials('alice:never'), 'Content-Length: 4', 'Expect: 100-continue'];
  await waiting.write(get('/up', expecting, 'POST'));
  expect(await waiting.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 401 /);
  waiting.end();
  expect(bodies).toHaveLength(2);
});

test('a large upload is not read beyond its bounds while the password is checked', async () => {
  const { fairlead, backend } = await site([
    { path: '/up', pool: 'default', basic_auth: { users: USERS } },
  ]);
  const size = 2 * 1024 * 1024;
  backend.on('/up', async (connection) => {
    expect((await connection.readBytes(size)).equals(Buffer.alloc(size, 'x'))).toBe(true);
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const client = await rawClient(fairlead.port);
  void client.write(
    get('/up', [credentials('alice:secret'), `Content-Length: ${size}`], 'PUT') + 'x'.repeat(size),
  );
  expect((await client.readResponse({ ms: LONG_MS })).status).toBe(200);
  client.end();
});

test('who leaves while the password is checked leaves nothing behind', async () => {
  const { fairlead, backend } = await site([
    { path: '/in', pool: 'default', basic_auth: { users: USERS } },
  ]);
  for (let count = 0; count < 20; count++) {
    const client = await rawClient(fairlead.port);
    await client.write(get('/in', [credentials(`alice:${count}`)]));
    client.reset();
  }
  expect(await leftover(fairlead)).toEqual(NOTHING);
  expect((await ask(fairlead, get('/in', [credentials('alice:secret')]))).status).toBe(200);
  expect(backend.served('/in')).toHaveLength(1);
});

test('a rate limit comes before the password, and a 401 counts for the pool', async () => {
  const { fairlead } = await site(
    [{ path: '/in', pool: 'default', basic_auth: { users: USERS } }],
    { rate_limit: { rate: 1, per: '1h', burst: 2 } },
  );
  const statuses: number[] = [];
  for (const password of ['1', '2', '3', 'secret']) {
    statuses.push((await ask(fairlead, get('/in', [credentials(`alice:${password}`)]))).status);
  }
  expect(statuses).toEqual([401, 401, 429, 429]);
  const samples = await metrics(fairlead);
  const count = (code: number) =>
    samples.get(`fairlead_requests_total{pool="default",backend="none",code="${code}"}`);
  expect([count(401), count(429)]).toEqual([2, 2]);
});

test('a reload ends an old password at once, and forgets no other', async () => {
  const { fairlead, config } = await site([
    { path: '/in', pool: 'default', basic_auth: { users: USERS } },
  ]);
  const statusOf = async (text: string): Promise<number> =>
    (await ask(fairlead, get('/in', [credentials(text)]))).status;
  expect([await statusOf('alice:secret'), await statusOf('jürgen k:a:b:ü')]).toEqual([200, 200]);
  const users = { ...USERS, alice: cheapHash('new') };
  await writeFile(
    join(fairlead.cwd, 'fairlead.config.json'),
    JSON.stringify({
      ...config,
      routes: [{ path: '/in', pool: 'default', basic_auth: { users } }],
    }),
  );
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  expect([
    await statusOf('alice:secret'),
    await statusOf('alice:new'),
    await statusOf('jürgen k:a:b:ü'),
  ]).toEqual([401, 200, 200]);
  const shown = await (await fetch(`${fairlead.adminUrl}/config`)).text();
  expect(shown).toContain('"alice": "***"');
  expect(shown).not.toContain('scrypt');
});

test('the time that a password takes is not its backend’s', async () => {
  const { fairlead, backend } = await site([
    { path: '/', pool: 'default', basic_auth: { users: { alice: dearHash('secret') } } },
  ]);
  backend.on('/slow-login', (connection) =>
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
  );
  const answer = await ask(fairlead, get('/slow-login', [credentials('alice:secret')]));
  expect(answer.status).toBe(200);
  const line = await waitFor(() => fairlead.accessLines().find(({ status }) => status === 200));
  expect(line).toHaveProperty('connect_ms');
  expect(Number(line['connect_ms'])).toBeLessThan(Number(line['first_byte_ms']) / 2);
});
