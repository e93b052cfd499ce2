/**
 * NTLM and Negotiate authenticate a connection: the next client on it was served as the one before, with all that one may
 * see. And the handshake takes several requests on one connection, which a busy pool did not give it.
 */
import { describe, expect, test } from 'vitest';
import {
  get,
  NOTHING,
  QUIET_HEALTH,
  type Script,
  type ScriptedBackend,
  type Stage,
  scriptedBackend,
  startStage,
} from '../behaviour/stage.ts';
import { afterFile } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { okResponse } from '../support/raw-backend.ts';
import { type RawClient, type RawResponse, rawClient } from '../support/raw-client.ts';
import { type Part, startPart } from '../support/shared-fairlead.ts';
import { waitFor } from '../support/wait-for.ts';

/** Who has proved to be who on which connection; the handshake is a challenge and its answer, as with NTLM. */
function authenticating(scheme: string, fields = ''): Script {
  const state = new WeakMap<object, string>();
  return async (connection, head) => {
    const token = new RegExp(`^authorization: ${scheme} (.*?)\\r\\n`, 'im').exec(head)?.[1];
    const known = state.get(connection);
    if (token === 'hello') {
      state.set(connection, 'challenged');
      await connection.write(challenge(`${scheme} riddle`, fields));
    } else if (token !== undefined && known === 'challenged') {
      state.set(connection, token);
      await connection.write(okResponse(`you are ${token}`));
    } else if (known === undefined || known === 'challenged') {
      await connection.write(challenge(scheme, fields));
    } else {
      await connection.write(okResponse(`you are ${known}`));
    }
  };
}

function challenge(value: string, fields = ''): string {
  return `HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: ${value}\r\n${fields}Content-Length: 0\r\n\r\n`;
}

function loggedIn(name: string): string[] {
  return ['401', '401', `you are ${name}`];
}

/** A client that sends the cookies back that it was given. */
class Browser {
  readonly #part: Part;
  readonly #tls: boolean;
  readonly #cookies = new Map<string, string>();
  #client: Client | null = null;

  constructor(part: Part, tls: boolean) {
    this.#part = part;
    this.#tls = tls;
  }

  /** The backend that has answered, by its own cookie. */
  get home(): string | undefined {
    return this.#cookies.get('app')?.slice('of-'.length);
  }

  reconnect(): void {
    this.#client = null;
  }

  /** @returns what it was answered at each step. */
  async logIn(name: string): Promise<string[]> {
    const steps: string[] = [];
    for (const step of ['', 'hello', name]) {
      const { status, body } = await this.#ask(step);
      steps.push(status === 200 ? String(body) : String(status));
    }
    return steps;
  }

  async answer(): Promise<string> {
    return String((await this.#ask('')).body);
  }

  async #ask(token: string): Promise<RawResponse> {
    this.#client ??= await clientOf(this.#part, this.#tls);
    const pairs = [...this.#cookies].map(([name, value]) => `${name}=${value}`);
    const response = await ask(this.#client, '/', [
      ...(pairs.length > 0 ? [`Cookie: ${pairs.join('; ')}`] : []),
      ...(token === '' ? [] : [`Authorization: NTLM ${token}`]),
    ]);
    for (const line of response.fields.get('set-cookie') ?? []) {
      const [name = '', value = ''] = (line.split(';')[0] ?? '').split('=');
      this.#cookies.set(name, value);
    }
    return response;
  }
}

/** A connection, and the host that its requests ask for. */
interface Client {
  readonly raw: RawClient;
  readonly host: string;
}

async function clientOf({ port, host }: Part, tls = false): Promise<Client> {
  return { raw: await rawClient(port, { tls }), host };
}

async function ask(
  { raw, host }: Client,
  path: string,
  fields: string[] = [],
): Promise<RawResponse> {
  await raw.write(get(path, fields, 'GET', host));
  return raw.readResponse();
}

async function logIn(client: Client, path: string, scheme: string, name: string): Promise<void> {
  expect((await ask(client, path)).status).toBe(401);
  expect((await ask(client, path, [`Authorization: ${scheme} hello`])).status).toBe(401);
  const third = await ask(client, path, [`Authorization: ${scheme} ${name}`]);
  expect(third.body.toString()).toBe(`you are ${name}`);
}

/** How clients come, and to how many threads. */
const WAYS = [
  ['one data thread', '1', false],
  ['two data threads', '2', false],
  ['two data threads, by TLS', '2', true],
] as const;

interface Scene {
  readonly part: Part;
  readonly backend: ScriptedBackend;
  readonly client: () => Promise<Client>;
}

/** In the proxy of all tests with so many threads, with TLS or without. */
async function startScene(
  backends: readonly ScriptedBackend[],
  threads: string,
  tls: boolean,
  config: Readonly<Record<string, unknown>> = {},
): Promise<Part> {
  certificate ??= makeCertificate('localhost', afterFile);
  const urls = backends.map(({ url }) => url);
  const part = await startPart(
    { ...QUIET_HEALTH, backends: urls, ...(tls && { ssl: certificate }), ...config },
    { args: ['--threads', threads] },
  );
  for (const url of urls) {
    await part.waitForLog(({ event, backend }) => event === 'backend.up' && backend === url);
  }
  return part;
}

let certificate: ReturnType<typeof makeCertificate> | undefined;

describe.each(WAYS)('%s', (_way, threads, tls) => {
  async function start(path = '/', scheme = 'NTLM'): Promise<Scene> {
    const backend = await scriptedBackend();
    backend.on(path, authenticating(scheme));
    const part = await startScene([backend], threads, tls);
    return { part, backend, client: () => clientOf(part, tls) };
  }

  test.each(['NTLM', 'Negotiate', 'negotiate'])(
    '%s: the connection serves its client on, and no other client',
    async (scheme) => {
      const the = await start('/mine', scheme);
      const [first, second] = [await the.client(), await the.client()];
      await logIn(first, '/mine', scheme, 'alice');
      for (let round = 0; round < 3; round++) {
        expect((await ask(second, '/mine')).status).toBe(401);
        expect((await ask(first, '/mine')).body.toString()).toBe('you are alice');
      }
      await logIn(second, '/mine', scheme, 'bob');
      expect((await ask(first, '/mine')).body.toString()).toBe('you are alice');
    },
  );

  test('two handshakes at once keep to their own connections', async () => {
    const the = await start('/both', 'NTLM');
    const [first, second] = [await the.client(), await the.client()];
    for (const client of [first, second]) {
      expect((await ask(client, '/both', ['Authorization: NTLM hello'])).status).toBe(401);
    }
    expect((await ask(first, '/both', ['Authorization: NTLM alice'])).status).toBe(200);
    expect((await ask(second, '/both', ['Authorization: NTLM bob'])).status).toBe(200);
    expect((await ask(first, '/both')).body.toString()).toBe('you are alice');
  });

  test('credentials that a backend takes without a challenge count as well', async () => {
    const { backend, ...the } = await start();
    const first = await the.client();
    expect((await ask(first, '/silent', ['Authorization: Negotiate token'])).status).toBe(200);
    const second = await the.client();
    expect((await ask(second, '/silent')).status).toBe(200);
    expect((await ask(first, '/silent')).status).toBe(200);
    const [one, other, again] = backend.served('/silent');
    expect(other).not.toBe(one);
    expect(again).toBe(one);
  });

  test('the connection is closed when its client goes, and when its backend is removed', async () => {
    const { part, backend, ...the } = await start('/gone', 'NTLM');
    const first = await the.client();
    await logIn(first, '/gone', 'NTLM', 'alice');
    const connection = backend.served('/gone')[0];
    expect(connection?.isEnded).toBe(false);
    first.raw.end();
    await waitFor(() => connection?.isEnded);

    const second = await the.client();
    await logIn(second, '/gone', 'NTLM', 'bob');
    const own = `${part.adminUrl}/backends/${part.firstId}`;
    expect((await fetch(own, { method: 'DELETE' })).ok).toBe(true);
    await waitFor(() => backend.served('/gone').at(-1)?.isEnded);
    expect((await ask(second, '/gone')).status).toBe(503);
  });
});

describe.each([
  ['by cookie', true, { sticky: { by: 'cookie' } }],
  ['by address', false, { sticky: { by: 'ip' } }],
  ['by a learned cookie', true, { sticky: { by: 'learn', cookie: 'app' } }],
  ['none', false, {}],
])('beside sessions: %s (TLS: %j)', (_by, tls, sticky) => {
  const isSticky = 'sticky' in sticky;

  /** Two backends, each with a name that it sets as a cookie of its own. */
  async function startTwo() {
    const backends = [await scriptedBackend(), await scriptedBackend()];
    for (const [index, backend] of backends.entries()) {
      backend.on('/', authenticating('NTLM', `Set-Cookie: app=of-${index}\r\n`));
    }
    const part = await startScene(backends, '2', tls, sticky);
    const change = async (index: number, query: string, body: unknown) => {
      const answer = await fetch(`${part.adminUrl}/backends/${part.firstId + index}${query}`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      expect(answer.status).toBe(200);
    };
    return { change, browser: () => new Browser(part, tls) };
  }

  test('a client is itself on its connection, and stays where it has logged in', async () => {
    const the = await startTwo();
    const browsers = Array.from({ length: 6 }, () => the.browser());
    for (const [index, browser] of browsers.entries())
      expect(await browser.logIn(`user-${index}`)).toEqual(loggedIn(`user-${index}`));
    for (let round = 0; round < 3; round++) {
      for (const [index, browser] of browsers.entries()) {
        expect(await browser.answer()).toBe(`you are user-${index}`);
      }
    }
    // A browser has several connections, and logs in on each.
    for (const [index, browser] of browsers.entries()) {
      const { home } = browser;
      browser.reconnect();
      expect(await browser.logIn(`user-${index}`)).toEqual(loggedIn(`user-${index}`));
      expect(await browser.answer()).toBe(`you are user-${index}`);
      expect(browser.home === home || !isSticky).toBe(true);
    }
  });

  test.each([
    ['drains', { state: 'draining' }],
    ['weighs 0', { weight: 0 }],
  ])('a backend that %s serves whom it has', async (_how, body) => {
    const the = await startTwo();
    const browser = the.browser();
    expect(await browser.logIn('alice')).toEqual(loggedIn('alice'));
    await the.change(Number(browser.home), '', body);
    for (let round = 0; round < 3; round++) {
      expect(await browser.answer()).toBe('you are alice');
    }
  });

  test('who is moved logs in elsewhere, once', async () => {
    const the = await startTwo();
    const browser = the.browser();
    expect(await browser.logIn('alice')).toEqual(loggedIn('alice'));
    const { home } = browser;
    await the.change(Number(home), '?sessions=move', { state: 'draining' });
    expect(await browser.logIn('alice')).toEqual(loggedIn('alice'));
    expect(browser.home).not.toBe(home);
    for (let round = 0; round < 3; round++) {
      expect(await browser.answer()).toBe('you are alice');
    }
  });
});

async function clientOn(stage: Stage): Promise<Client> {
  return { raw: await stage.client(), host: 'test' };
}

test('a challenge among others counts, and other schemes share connections', async () => {
  const stage = await startStage();
  stage.on('/list', (connection) => connection.write(challenge('Basic realm="x", NTLM')));
  stage.on('/basic', (connection) => connection.write(challenge('Basic realm="NTLM"')));
  for (const path of ['/list', '/basic']) {
    const [first, second] = [await clientOn(stage), await clientOn(stage)];
    const fields = ['Authorization: Basic YTpi'];
    expect((await ask(first, path, fields)).status).toBe(401);
    expect((await ask(second, path, fields)).status).toBe(401);
    const [one, other] = stage.backend.served(path);
    expect(other === one).toBe(path === '/basic');
    for (const { raw } of [first, second]) raw.reset();
    expect(await stage.leftover()).toEqual(NOTHING);
  }
});

test('connections that wait for their clients give way where connections are few', async () => {
  const stage = await startStage({ max_connections: 1 });
  stage.on('/few', authenticating('NTLM'));
  const [first, second] = [await clientOn(stage), await clientOn(stage)];
  await logIn(first, '/few', 'NTLM', 'alice');
  await logIn(second, '/few', 'NTLM', 'bob');
  expect((await ask(first, '/few')).status).toBe(401);
});
