/** `sticky: { by: learn }`: a session is with the backend that has given its client a certain cookie. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RawResponse } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';
import { NamedPool, namedBackends, startPool } from './named-pool.ts';
import { HANDSHAKE, QUIET_HEALTH, startProxy } from './stage.ts';

const LEARN = { sticky: { by: 'learn', cookie: 'JSESSIONID' } } as const;
/** Every request has a connection of its own, so that all threads take part. */
const THREADS = { args: ['--threads', '2'] } as const;
const ROUNDS = 6;

function cookies(response: RawResponse): readonly string[] {
  return response.fields.get('set-cookie') ?? [];
}

/** `/login/ID` begins a session and `/logout` ends it, as the app says it in Set-Cookie lines. */
function isApp(
  the: NamedPool,
  login: (id: string) => readonly string[] = (id) => [`JSESSIONID=${id}; Path=/; HttpOnly`],
  logout: readonly string[] = ['JSESSIONID=; Max-Age=0; Path=/'],
): void {
  for (const backend of the.backends) {
    backend.answer = (request, response) => {
      const [, what = '', id = ''] = (request.url ?? '').split('/');
      if (what === 'login') response.setHeader('Set-Cookie', [...login(id)]);
      if (what === 'logout') response.setHeader('Set-Cookie', [...logout]);
      response.end(backend.name);
    };
  }
}

async function startApp(count = 3, config = {}): Promise<NamedPool> {
  const the = await startPool(count, { ...LEARN, ...config }, THREADS);
  isApp(the);
  return the;
}

/** So many sessions: who has begun each, by its id. */
async function logIn(the: NamedPool, count: number): Promise<Map<string, string>> {
  const homes = new Map<string, string>();
  for (let index = 0; index < count; index++) {
    const id = `session-${index}`;
    homes.set(id, String((await the.ask({ path: `/login/${id}` })).body));
  }
  return homes;
}

async function nameFor(the: NamedPool, cookie: string, path = '/'): Promise<string> {
  return String((await the.ask({ path, fields: [`Cookie: ${cookie}`] })).body);
}

/** The session whose home is this backend. */
function at(homes: ReadonlyMap<string, string>, name: string): string {
  const found = [...homes].find(([, home]) => home === name)?.[0];
  if (found === undefined) throw new Error(`none at ${name}`);
  return found;
}

test('a session stays where it has begun, and nothing is written into answers', async () => {
  const the = await startApp();
  const homes = await logIn(the, 12);
  expect(new Set(homes.values())).toEqual(new Set(['A', 'B', 'C']));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [id, home] of homes) {
      const response = await the.ask({ fields: [`Cookie: a=b; JSESSIONID=${id}; c=d`] });
      expect([id, String(response.body), cookies(response)]).toEqual([id, home, []]);
    }
  }
  // Who has none goes where the strategy says.
  expect(new Set(await the.names(6))).toEqual(new Set(['A', 'B', 'C']));
});

test('it is found among other lines, quoted or not, and the last one counts', async () => {
  const the = await startApp();
  isApp(the, (id) => ['a=1', `JSESSIONID="${id}"; Path=/`, 'JSESSIONID2=x', 'b=2']);
  const homes = await logIn(the, 6);
  isApp(the, (id) => [`JSESSIONID=old-${id}`, `JSESSIONID=new-${id}; Max-Age=60`]);
  const newer = await logIn(the, 6);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [id, home] of homes) {
      expect(await nameFor(the, `JSESSIONID="${id}"`)).toBe(home);
      expect(await nameFor(the, `JSESSIONID=${id}`)).toBe(home);
    }
    for (const [id, home] of newer) expect(await nameFor(the, `JSESSIONID=new-${id}`)).toBe(home);
  }
});

test('of several cookies of that name the one that is known counts', async () => {
  const the = await startApp();
  const homes = await logIn(the, 6);
  for (const [id, home] of homes) {
    expect(await nameFor(the, `JSESSIONID=from-another-path; JSESSIONID=${id}`)).toBe(home);
    expect(await nameFor(the, `JSESSIONID=${id}; JSESSIONID=from-another-path`)).toBe(home);
  }
});

test('an error can begin one as well', async () => {
  const the = await startApp();
  for (const backend of the.backends) {
    backend.answer = (_request, response) => {
      response.writeHead(403, { 'Set-Cookie': `JSESSIONID=of-${backend.name}` }).end(backend.name);
    };
  }
  await Promise.all(Array.from({ length: 3 }, () => the.ask()));
  isApp(the);
  for (const name of ['A', 'B', 'C']) {
    for (let round = 0; round < 3; round++) {
      expect(await nameFor(the, `JSESSIONID=of-${name}`)).toBe(name);
    }
  }
});

test('a 101 can begin one as well', async () => {
  const the = await startApp();
  for (const { http, name } of the.backends) {
    http.server.on('upgrade', (_request, socket) => {
      socket.end(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSet-Cookie: JSESSIONID=of-${name}\r\n\r\n`,
      );
    });
  }
  const switched = await the.ask({ path: '/socket', fields: HANDSHAKE });
  const [pair = ''] = cookies(switched);
  const home = pair.slice('JSESSIONID=of-'.length);
  for (let round = 0; round < ROUNDS; round++) expect(await nameFor(the, pair)).toBe(home);
});

test.each([
  ['Max-Age=0', ['JSESSIONID=x; Max-Age=0']],
  ['no value', ['JSESSIONID=']],
  ['a date that is over', ['JSESSIONID=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT']],
])('%s ends it', async (_name, logout) => {
  const the = await startApp(2);
  isApp(the, undefined, logout);
  const homes = await logIn(the, 24);
  const ofA = [...homes].filter(([, home]) => home === 'A').map(([id]) => id);
  expect(ofA.length).toBeGreaterThan(8);
  for (const id of ofA) expect(await nameFor(the, `JSESSIONID=${id}`, '/logout')).toBe('A');
  // From now on they go by hash, and not all of them to the same.
  const after = await Promise.all(ofA.map((id) => nameFor(the, `JSESSIONID=${id}`)));
  expect(after).toContain('B');
  const again = await Promise.all(ofA.map((id) => nameFor(the, `JSESSIONID=${id}`)));
  expect(again).toEqual(after);
});

test('a session of a backend that drains stays, and moves when it is told to', async () => {
  const the = await startApp(2);
  const homes = await logIn(the, 8);
  const id = at(homes, 'A');
  expect((await the.call('PATCH', '/backends/0', { state: 'draining' })).status).toBe(200);
  for (let round = 0; round < ROUNDS; round++) {
    expect(await nameFor(the, `JSESSIONID=${id}`)).toBe('A');
  }
  expect((await the.call('PATCH', '/backends/0', { state: 'enabled' })).status).toBe(200);
  const moved = await the.call('PATCH', '/backends/0?sessions=move', { state: 'draining' });
  expect(moved.status).toBe(200);
  expect(await nameFor(the, `JSESSIONID=${id}`)).toBe('B');
  // It stays there, also once the former is back.
  expect((await the.call('PATCH', '/backends/0', { state: 'enabled' })).status).toBe(200);
  for (let round = 0; round < ROUNDS; round++) {
    expect(await nameFor(the, `JSESSIONID=${id}`)).toBe('B');
  }
});

test('a session of a backend that fails goes on with another, which may begin a new one', async () => {
  const the = await startApp(2, { outlier_detection: false });
  const homes = await logIn(the, 8);
  const [first, second] = [...homes].filter(([, home]) => home === 'A').map(([id]) => id);
  await the.backend(0).stop();
  expect(await nameFor(the, `JSESSIONID=${first}`)).toBe('B');
  expect(await nameFor(the, `JSESSIONID=${second}`, '/login/renewed')).toBe('B');
  await the.backend(0).start();
  await the.viewWhere(0, ({ eligible }) => eligible, 15_000);
  for (let round = 0; round < ROUNDS; round++) {
    expect(await nameFor(the, `JSESSIONID=${first}`)).toBe('B');
    expect(await nameFor(the, 'JSESSIONID=renewed')).toBe('B');
  }
});

test('a reload from sessions by address to learned ones, and back', async () => {
  const the = await startPool(2, { sticky: { by: 'ip' } }, { ...THREADS, isAlone: true });
  isApp(the);
  const reload = async (sticky: unknown) => {
    const config = { ...QUIET_HEALTH, backends: the.backends.map(({ url }) => url), sticky };
    await writeFile(join(the.fairlead.cwd, 'fairlead.config.json'), JSON.stringify(config));
    expect((await the.call('POST', '/reload')).status).toBe(200);
  };
  expect(new Set((await logIn(the, 6)).values()).size).toBe(1);
  await reload(LEARN.sticky);
  const homes = await logIn(the, 6);
  expect(new Set(homes.values()).size).toBe(2);
  for (const [id, home] of homes) expect(await nameFor(the, `JSESSIONID=${id}`)).toBe(home);
  await reload({ by: 'ip' });
  expect(new Set((await logIn(the, 6)).values()).size).toBe(1);
});

test('it outlives the data thread that has learned it', async () => {
  const backends = await namedBackends(3);
  const throwing = new URL('../support/patches/throwing.mjs', import.meta.url).href;
  const fairlead = await startProxy(
    backends.map(({ url }) => url),
    LEARN,
    { args: ['--threads', '1'], env: { NODE_OPTIONS: `--import ${throwing}` } },
  );
  const the = new NamedPool(fairlead, backends);
  isApp(the);
  const homes = await logIn(the, 12);
  await the.ask({ fields: ['X-Throw: next-uncaught'] });
  await fairlead.waitForLog(({ event }) => event === 'data_thread.died', 15_000);
  await waitFor(
    () =>
      the.ask().then(
        () => true,
        () => false,
      ),
    15_000,
  );
  for (const [id, home] of homes) expect(await nameFor(the, `JSESSIONID=${id}`)).toBe(home);
});

test('a head of nothing but cookies of that name is looked at a little', async () => {
  const the = await startApp();
  const homes = await logIn(the, 1);
  const [[id, home]] = [...homes] as [[string, string]];
  expect(await nameFor(the, `JSESSIONID=${id}${'; JSESSIONID=x'.repeat(500)}`)).toBe(home);
});
