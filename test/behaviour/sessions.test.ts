/** `sticky`: clients keep the backend that they had, as clients see it. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import type { RawResponse } from '../support/raw-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { type NamedPool, namedBackends, reset, startPool, startPoolOf } from './named-pool.ts';
import { HANDSHAKE } from './stage.ts';

const BY_COOKIE = { sticky: { by: 'cookie' } } as const;
/** Every client of a test has an address of its own. */
const TRUSTING = { trusted_proxies: ['127.0.0.1'] } as const;

function cookies(response: RawResponse): readonly string[] {
  return response.fields.get('set-cookie') ?? [];
}

/** The Cookie field that a browser would send after this response. */
function cookieField(response: RawResponse): string {
  const [line = ''] = cookies(response);
  return `Cookie: ${line.split(';')[0]}`;
}

function from(address: string): string {
  return `X-Forwarded-For: ${address}`;
}

/** A client by cookie that is at the backend of this name. */
async function cookieClientOf(the: NamedPool, name: string): Promise<string> {
  for (;;) {
    const response = await the.ask();
    if (String(response.body) === name) return cookieField(response);
  }
}

/** The address of a client whose session is at the backend of this name. */
async function addressOf(the: NamedPool, name: string): Promise<string> {
  for (let last = 1; last < 250; last++) {
    const field = from(`10.7.0.${last}`);
    if ((await the.names(1, [field]))[0] === name) return field;
  }
  throw new Error(`no client came to ${name}`);
}

async function newClients(the: NamedPool, count: number): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let index = 0; index < count; index++) {
    seen.add(String((await the.ask({ fields: [from(`10.8.0.${index}`)] })).body));
  }
  return seen;
}

describe('by cookie', () => {
  test('the first answer sets the cookie, later ones do not, and the client stays', async () => {
    const the = await startPool(3, { sticky: { by: 'cookie', ttl: '90s' } }, { isAlone: true });
    const first = await the.ask();
    expect(first.head).toMatch(
      /\r\nSet-Cookie: fairlead=[\w-]{22}; Path=\/; Max-Age=90; HttpOnly; SameSite=Lax\r\n/,
    );
    expect(cookies(first)).toHaveLength(1);
    for (let round = 0; round < 6; round++) {
      const again = await the.ask({ fields: [cookieField(first)] });
      expect([String(again.body), cookies(again)]).toEqual([String(first.body), []]);
    }
    // Who has none goes where the strategy says.
    expect(new Set(await the.names(6))).toEqual(new Set(['A', 'B', 'C']));
  });

  test('the cookie is found among others, also in a second field', async () => {
    const the = await startPool(3, { sticky: { by: 'cookie', name: 'where' } });
    const first = await the.ask();
    const [, pair] = cookieField(first).split(' ');
    expect(pair).toMatch(/^where=/);
    for (const fields of [
      [`Cookie: a=b; ${pair}; c=d`],
      ['Cookie: a=b', `cookie: ${pair}`],
      [`Cookie: xwhere=no; ${pair}`],
    ]) {
      for (let round = 0; round < 3; round++) {
        const again = await the.ask({ fields });
        expect([fields, String(again.body), cookies(again)]).toEqual([
          fields,
          String(first.body),
          [],
        ]);
      }
    }
  });

  test('a forged token, or one from elsewhere, is no session: it is replaced', async () => {
    const other = await startPool(1, BY_COOKIE, { isAlone: true });
    const the = await startPool(2, BY_COOKIE);
    const foreign = cookieField(await other.ask()).slice('Cookie: fairlead='.length);
    const name = `fairlead-${the.fairlead.pool}`;
    const good = cookieField(await the.ask()).slice(`Cookie: ${name}=`.length);
    for (const token of [foreign, 'A', '0', '', good.slice(1), `${good}x`, 'x'.repeat(22)]) {
      const seen = new Set<string>();
      for (let round = 0; round < 4; round++) {
        const response = await the.ask({ fields: [`Cookie: ${name}=${token}`] });
        expect(cookies(response)).toHaveLength(1);
        seen.add(String(response.body));
      }
      expect(seen).toEqual(new Set(['A', 'B']));
    }
  });

  test('the answer to a HEAD sets it, and a 101 does', async () => {
    const the = await startPool(2, BY_COOKIE);
    for (const { http, name } of the.backends) {
      http.server.on('upgrade', (_request, socket) => {
        afterTest(() => {
          socket.destroy();
        });
        socket.end(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Name: ${name}\r\n\r\n`,
        );
      });
    }
    const head = await the.ask({ method: 'HEAD' });
    expect(cookies(head)).toHaveLength(1);
    expect(cookies(await the.ask({ method: 'HEAD', fields: [cookieField(head)] }))).toEqual([]);

    const upgrade = {
      path: '/socket',
      fields: HANDSHAKE,
    };
    const switched = await the.ask(upgrade);
    expect([switched.status, cookies(switched).length]).toEqual([101, 1]);
    for (let round = 0; round < 4; round++) {
      const again = await the.ask({
        ...upgrade,
        fields: [...upgrade.fields, cookieField(switched)],
      });
      expect([again.status, cookies(again)]).toEqual([101, []]);
      expect(again.fields.get('x-name')).toEqual(switched.fields.get('x-name'));
    }
  });

  test('cookies of the backend are left alone', async () => {
    const the = await startPool(1, BY_COOKIE);
    the.backend(0).answer = (_request, response) => {
      response.setHeader('Set-Cookie', ['a=1', 'b=2']).end();
    };
    const lines = cookies(await the.ask());
    expect(lines).toHaveLength(3);
    expect(lines).toEqual(expect.arrayContaining(['a=1', 'b=2']));
  });

  test('an answer of Fairlead’s own sets none', async () => {
    const the = await startPool(1, BY_COOKIE);
    await the.call('PUT', '/backends/0/status', { alive: false });
    const response = await the.ask();
    expect([response.status, cookies(response)]).toEqual([503, []]);
  });

  test.runIf(hasTool('openssl'))('under TLS it is Secure', async () => {
    const config = { ...BY_COOKIE, ssl: makeCertificate() };
    const the = await startPool(2, config, { isAlone: true });
    const first = await the.ask({ tls: true });
    expect(first.head).toMatch(
      /\r\nSet-Cookie: fairlead=[\w-]{22}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure\r\n/,
    );
    for (let round = 0; round < 4; round++) {
      const again = await the.ask({ tls: true, fields: [cookieField(first)] });
      expect([String(again.body), cookies(again)]).toEqual([String(first.body), []]);
    }
  });

  test('a session outlives a restart with a state file', async () => {
    const cwd = temporaryFolder('sessions');
    const backends = await namedBackends(3);
    const before = await startPoolOf(backends, BY_COOKIE, { cwd });
    const field = await cookieClientOf(before, 'B');
    expect(await before.fairlead.stop()).toBe(0);
    const after = await startPoolOf(backends, BY_COOKIE, { cwd });
    for (let round = 0; round < 4; round++) {
      const again = await after.ask({ fields: [field] });
      expect([String(again.body), cookies(again)]).toEqual(['B', []]);
    }
  });

  test('a session outlives a restart with a secret in the config, and only with that one', async () => {
    const backends = await namedBackends(3);
    const start = (secret: string) =>
      startPoolOf(backends, { sticky: { by: 'cookie', secret }, state_file: false });
    const field = await cookieClientOf(await start('a-secret-of-sixteen-or-more'), 'C');
    const same = await start('a-secret-of-sixteen-or-more');
    for (let round = 0; round < 4; round++) {
      const again = await same.ask({ fields: [field] });
      expect([String(again.body), cookies(again)]).toEqual(['C', []]);
    }
    const other = await start('another-one-of-the-same-kind');
    expect(cookies(await other.ask({ fields: [field] }))).toHaveLength(1);
  });

  test('without either, a restart ends the sessions', async () => {
    const backends = await namedBackends(2);
    const config = { ...BY_COOKIE, state_file: false };
    const field = cookieField(await (await startPoolOf(backends, config)).ask());
    const after = await startPoolOf(backends, config);
    expect(cookies(await after.ask({ fields: [field] }))).toHaveLength(1);
  });

  test('a backend that fails a request loses the session: the answer sets another cookie', async () => {
    const the = await startPool(2, { ...BY_COOKIE, outlier_detection: false });
    const field = await cookieClientOf(the, 'A');
    the.backend(0).answer = reset;
    const moved = await the.ask({ fields: [field] });
    expect([String(moved.body), cookies(moved).length]).toEqual(['B', 1]);
    the.backend(0).answer = the.backend(0).good;
    for (let round = 0; round < 4; round++) {
      const again = await the.ask({ fields: [cookieField(moved)] });
      expect([String(again.body), cookies(again)]).toEqual(['B', []]);
    }
  });
});

describe.each([
  ['header', 'X-User', (user: string) => ({ fields: [`x-user: ${user}`] })],
  ['query', 'user', (user: string) => ({ path: `/?a=b&user=${user}&c` })],
])('by %s', (by, name, as) => {
  test('a client stays with its backend, and no cookie is set', async () => {
    const the = await startPool(3, { sticky: { by, name } });
    const homes = new Map<string, string>();
    for (let round = 0; round < 3; round++) {
      for (let user = 0; user < 20; user++) {
        const response = await the.ask(as(`u${user}`));
        const home = homes.get(`u${user}`) ?? String(response.body);
        homes.set(`u${user}`, home);
        expect([user, String(response.body), cookies(response)]).toEqual([user, home, []]);
      }
    }
    expect(new Set(homes.values())).toEqual(new Set(['A', 'B', 'C']));
  });

  test('who does not say who it is goes by its address', async () => {
    const the = await startPool(3, { sticky: { by, name }, ...TRUSTING });
    expect(new Set(await the.names(6, [from('10.1.2.3')])).size).toBe(1);
    expect((await newClients(the, 30)).size).toBe(3);
  });

  test('a session ends its ttl after its last request', async () => {
    const the = await startPool(2, { sticky: { by, name, ttl: '3s' } });
    // The first choice is by hash: who chooses anew comes to the same one, unless it is not there.
    const home = String((await the.ask(as('me'))).body);
    const index = home === 'A' ? 0 : 1;
    await the.call('PUT', `/backends/${index}/status`, { alive: false });
    const other = String((await the.ask(as('me'))).body);
    expect(other).not.toBe(home);
    await the.call('PUT', `/backends/${index}/status`, { alive: true });
    expect(String((await the.ask(as('me'))).body)).toBe(other);
    // Renewed by each request: twice 1.6 s are more than the ttl.
    await sleep(1_600);
    expect(String((await the.ask(as('me'))).body)).toBe(other);
    await sleep(1_600);
    expect(String((await the.ask(as('me'))).body)).toBe(other);
    await sleep(3_300);
    expect(String((await the.ask(as('me'))).body)).toBe(home);
  });
});

describe('by ip', () => {
  test('way D: enable_sticky_sessions and sticky_session_ttl', async () => {
    const the = await startPool(2, {
      enable_sticky_sessions: true,
      sticky_session_ttl: '3s',
      ...TRUSTING,
    });
    expect((await newClients(the, 30)).size).toBe(2);
    const home = await addressOf(the, 'A');
    expect(await the.names(6, [home])).toEqual(Array(6).fill('A'));
    await the.call('PUT', '/backends/0/status', { alive: false });
    expect(await the.names(2, [home])).toEqual(['B', 'B']);
    await the.call('PUT', '/backends/0/status', { alive: true });
    expect(await the.names(4, [home])).toEqual(['B', 'B', 'B', 'B']);
    await sleep(3_300);
    expect(await the.names(2, [home])).toEqual(['A', 'A']);
  });

  test('the first choice is the same after a restart', async () => {
    const backends = await namedBackends(3);
    const config = { sticky: { by: 'ip' }, ...TRUSTING, state_file: false };
    const homes = async () => {
      const the = await startPoolOf(backends, config);
      const names: string[] = [];
      for (let last = 1; last <= 20; last++) {
        names.push(...(await the.names(1, [from(`10.9.0.${last}`)])));
      }
      return names;
    };
    expect(await homes()).toEqual(await homes());
  });

  test('a session table is shared by all data threads', async () => {
    const the = await startPool(
      3,
      { sticky: { by: 'ip' }, ...TRUSTING },
      { args: ['--threads', '2'] },
    );
    const home = await addressOf(the, 'A');
    await the.call('PUT', '/backends/0/status', { alive: false });
    const { body } = await the.ask({ fields: [home] });
    await the.call('PUT', '/backends/0/status', { alive: true });
    // A connection each, so that both threads get some.
    for (let round = 0; round < 20; round++) {
      expect(String((await the.ask({ fields: [home] })).body)).toBe(String(body));
    }
  });
});

/** What a client by cookie or by address does to be the same one again. */
const KINDS = [
  ['cookie', BY_COOKIE, cookieClientOf],
  ['ip', { sticky: { by: 'ip' }, ...TRUSTING }, addressOf],
] as const;

describe.each(KINDS)('a session by %s', (_by, config, clientOf) => {
  test('moves when its backend dies, and stays there when that is back', async () => {
    const the = await startPool(2, { ...config, health_check_frequency: '100ms' });
    const field = await clientOf(the, 'A');
    await the.backend(0).stop();
    const moved = await the.ask({ fields: [field] });
    expect(String(moved.body)).toBe('B');
    const now = field.startsWith('Cookie') ? cookieField(moved) : field;
    await the.viewWhere(0, ({ alive }) => !alive);
    await the.backend(0).start();
    await the.viewWhere(0, ({ eligible }) => eligible);
    expect(await the.names(6, [now])).toEqual(Array(6).fill('B'));
  });

  test.each([
    ['that drains', { state: 'draining' }],
    ['of weight 0', { weight: 0 }],
  ])('stays at a backend %s, which gets no others', async (_name, change) => {
    const the = await startPool(2, config);
    const field = await clientOf(the, 'A');
    expect((await the.call('PATCH', '/backends/0', change)).status).toBe(200);
    expect(await the.names(6, [field])).toEqual(Array(6).fill('A'));
    expect(await newClients(the, 30)).toEqual(new Set(['B']));
  });

  test('is over when its backend is disabled', async () => {
    const the = await startPool(2, config);
    const field = await clientOf(the, 'A');
    await the.call('PATCH', '/backends/0', { state: 'disabled' });
    expect(await the.names(3, [field])).toEqual(['B', 'B', 'B']);
  });

  test('goes elsewhere once while its backend is full, and does not move', async () => {
    const the = await startPool(2, { ...config, max_requests: 1 });
    const field = await clientOf(the, 'A');
    const other = await clientOf(the, 'A');
    let held: ServerResponse | undefined;
    the.backend(0).answer = (_request, response) => {
      held = response;
    };
    const waiting = the.ask({ fields: [other] });
    await waitFor(() => held !== undefined);
    const elsewhere = await the.ask({ fields: [field] });
    expect([String(elsewhere.body), cookies(elsewhere)]).toEqual(['B', []]);
    the.backend(0).answer = the.backend(0).good;
    held?.end('A');
    expect(String((await waiting).body)).toBe('A');
    expect(await the.names(3, [field])).toEqual(['A', 'A', 'A']);
  });

  test('is over when its backend is ejected', async () => {
    const the = await startPool(2, { ...config, outlier_detection: { consecutive_5xx: 3 } });
    const field = await clientOf(the, 'A');
    the.backend(0).answer = (_request, response) => {
      response.writeHead(500).end();
    };
    // An answer is an answer: the client stays for it.
    expect(await the.names(3, [field])).toEqual(['500', '500', '500']);
    await the.viewWhere(0, ({ alive }) => !alive);
    expect(await the.names(3, [field])).toEqual(['B', 'B', 'B']);
  });
});
