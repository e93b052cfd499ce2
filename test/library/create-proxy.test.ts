/** The library from within a program: real sockets, in this thread. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { validateConfigText } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import {
  ConfigError,
  createProxy,
  type Proxy,
  type ProxyConfig,
  ProxyError,
  type ProxyEvent,
  type ProxyEventName,
} from '../../src/index.ts';
import { EVENT_NAMES } from '../../src/observe/event-names.ts';
import { codeRows, readPage, sectionOf } from '../docs/markdown.ts';
import { afterTest } from '../support/after-test.ts';
import { eventStream } from '../support/event-stream.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

/** It listens; closed after the test. */
async function listening(config: ProxyConfig): Promise<Proxy> {
  const proxy = createProxy({ port: 0, admin: false, ...config });
  afterTest(() => proxy.close({ within: '1s' }));
  return proxy.listen();
}

/** Answers with its name. */
async function named(name: string): Promise<string> {
  const { url } = await httpBackend((_request, response) => response.end(name));
  return url;
}

async function textOf(url: string): Promise<string> {
  return (await fetch(url)).text();
}

function nextOf(proxy: Proxy, name: ProxyEventName): Promise<ProxyEvent> {
  return new Promise((resolve) => void proxy.on(name, resolve));
}

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

test('serves requests in the thread of its caller, on the ports that the system gives it', async () => {
  const proxy = createProxy({ port: 0, admin_port: 0, backends: [await named('one')] });
  expect([proxy.port, proxy.adminPort, proxy.url]).toEqual([0, 0, '']);
  await proxy.listen();
  expect(proxy.url).toBe(`http://localhost:${proxy.port}`);
  expect(await textOf(proxy.url)).toBe('one');
  const status = await fetch(`http://127.0.0.1:${proxy.adminPort}/status`);
  expect(await status.json()).toMatchObject({ total_backends: 1 });
  const { url } = proxy;
  await proxy.close();
  await expect(fetch(url)).rejects.toThrow('fetch failed');
});

test('two proxies in one process know nothing of each other', async () => {
  const [one, other] = await Promise.all([
    listening({ backends: [await named('one')] }),
    listening({ backends: [await named('other')] }),
  ]);
  expect(await Promise.all([textOf(one.url), textOf(other.url)])).toEqual(['one', 'other']);
  await one.close();
  expect(await textOf(other.url)).toBe('other');
});

test('await using closes it', async () => {
  let url = '';
  {
    await using proxy = createProxy({ port: 0, admin: false, backends: [await named('one')] });
    await proxy.listen();
    ({ url } = proxy);
    expect(await textOf(url)).toBe('one');
  }
  await expect(fetch(url)).rejects.toThrow('fetch failed');
});

test('pools can be looked at and changed', async () => {
  const [one, two, three] = [await named('one'), await named('two'), await named('three')];
  const proxy = await listening({
    backends: [one],
    pools: { api: { backends: [two] } },
    routes: [{ path: '/api', pool: 'api' }, { pool: 'default' }],
  });
  const { default: pool, api } = proxy.pools;
  expect(Object.keys(proxy.pools)).toEqual(['default', 'api']);
  expect(proxy.pools['none']).toBeUndefined();
  expect(await textOf(`${proxy.url}/api`)).toBe('two');

  expect(await pool.add(three, { weight: 3 })).toMatchObject({ url: three, weight: 3 });
  expect(await pool.drain(one)).toMatchObject({ url: one, state: 'draining' });
  expect(await textOf(proxy.url)).toBe('three');
  await pool.enable(one);
  await pool.remove(new URL(three));
  expect(await textOf(proxy.url)).toBe('one');
  expect((await pool.backends()).map(({ url }) => url)).toEqual([one]);
  expect((await api?.backends())?.map(({ url }) => url)).toEqual([two]);
  await pool.setStrategy('least-connections');

  await expect(pool.add('nonsense')).rejects.toMatchObject({ code: 'ERR_INVALID_URL' });
  await expect(pool.add(one)).rejects.toMatchObject({ code: 'ERR_DUPLICATE_BACKEND' });
  await expect(pool.remove(three)).rejects.toMatchObject({ code: 'ERR_UNKNOWN_BACKEND' });
  await expect(pool.remove(99)).rejects.toBeInstanceOf(ProxyError);
});

test('tells of what happens to it', async () => {
  const { url, close } = await httpBackend();
  const proxy = await listening({ backends: [url], health_check_frequency: '100ms' });
  const heard: ProxyEvent[] = [];
  const all: string[] = [];
  proxy.on('backend.down', (event) => heard.push(event));
  const forAll = ({ event }: ProxyEvent): void => void all.push(event);
  proxy.on('*', forAll);
  await close();
  const [down] = await waitFor(() => (heard.length > 0 ? heard : undefined));
  expect(down).toMatchObject({ event: 'backend.down', level: 'warn', fields: { backend: url } });
  expect(down?.time).toBeInstanceOf(Date);
  expect(all).toContain('backend.down');
  proxy.off('*', forAll);
  const updated = nextOf(proxy, 'backend.updated');
  await proxy.pools.default.disable(url);
  expect(all).not.toContain('backend.updated');
  expect((await updated).fields).toMatchObject({
    backend: url,
    before: { state: 'enabled' },
    after: { state: 'disabled' },
    actor: { program: true },
  });
});

test('tells the same as GET /events, whatever the log is told to leave out', async () => {
  const proxy = await listening({ admin: {}, admin_port: 0, log_level: 'error' });
  const stream = await eventStream(`http://127.0.0.1:${proxy.adminPort}`);
  const heard = nextOf(proxy, 'strategy.changed');
  await proxy.pools.default.setStrategy('random-two');
  const { level, message, fields, time } = await heard;
  const sent = await stream.waitFor('strategy.changed');
  const same = { level, time: time.toISOString(), event: 'strategy.changed', ...fields };
  expect(sent.data).toEqual({ ...same, msg: message });
});

test('a reload changes what is asked for, or nothing', async () => {
  const [one, two] = [await named('one'), await named('two')];
  const config: ProxyConfig = { port: 0, admin: false, backends: [one] };
  const proxy = await listening(config);
  const { port } = proxy;
  expect(await proxy.reload()).toEqual({ changed: [], notes: [] });
  expect(await proxy.reload({ ...config, backends: [two] })).toMatchObject({
    changed: ['backends'],
  });
  expect(await textOf(proxy.url)).toBe('two');
  expect(proxy.port).toBe(port);

  const wrong = { ...config, strategy: 'least' } as unknown as ProxyConfig;
  await expect(proxy.reload(wrong)).rejects.toThrow(/^strategy: must be one of/);
  await expect(proxy.reload({ ...config, threads: 1 })).rejects.toMatchObject({
    code: 'ERR_RESTART_NEEDED',
    message: 'A change of threads needs a new proxy; nothing was applied.',
  });
  await expect(proxy.reload({ ...config, admin: {} })).rejects.toMatchObject({
    code: 'ERR_RESTART_NEEDED',
  });
  // What was refused is not what it goes on with.
  expect(await proxy.reload()).toMatchObject({ changed: [] });
  expect(await textOf(proxy.url)).toBe('two');
});

function messageOf(config: unknown): string {
  const error = thrownBy(() => createProxy(config as ProxyConfig));
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).message;
}

/** Without where they stand. */
function wordsOfCheck(config: object): string[] {
  const input = { flags: { values: [] }, env: {}, cwd: '/' };
  const result = validateConfigText(JSON.stringify(config), 'f.json', input);
  if (result.ok) throw new Error('it is fine');
  return result.problems
    .map((problem) => formatProblem(problem).replace(/^f\.json:\d+:\d+: /, ''))
    .toSorted();
}

test('a config that is wrong is one error, in the words of fairlead check', () => {
  const circle: Record<string, unknown> = {};
  circle['timeouts'] = circle;
  const wrong = { strategi: 'random', strategy: 'least-con', timeouts: { connect: 2 } };
  expect(messageOf(wrong).split('\n').toSorted()).toEqual(wordsOfCheck(wrong));
  expect(messageOf({ port: 70_000 })).toBe(
    'port: must be a whole number from 0 to 65535, not 70000',
  );
  expect(messageOf({ port: 8080, admin_port: 8080 })).toBe(
    'admin_port: must differ from port, which is 8080 too (file)',
  );
  expect(messageOf({ backends: [() => 'http://localhost:1'] })).toBe(
    'backends.0: must be plain data, not a function',
  );
  expect(messageOf({ backends: new Map() })).toBe('backends: must be plain data, not a Map');
  expect(messageOf(circle)).toBe('timeouts: holds itself, or is too deep');
  expect(messageOf(undefined)).toBe('must be a mapping of keys, such as { port: 8080 }');
});

test('what cannot be listened on is said, and can be tried again', async () => {
  const other = createServer();
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  afterTest(() => void other.close());
  const { port } = other.address() as { port: number };
  const proxy = createProxy({ port, host: '127.0.0.1', admin: false });
  await expect(proxy.listen()).rejects.toMatchObject({
    name: 'ProxyError',
    code: 'EADDRINUSE',
    message: `the proxy can't listen on 127.0.0.1:${port}: the address is in use`,
  });
  const unwritable = createProxy({ port: 0, admin: false }, { log: '/none/fairlead.log' });
  await expect(unwritable.listen()).rejects.toMatchObject({
    code: 'ENOENT',
    message: expect.stringMatching(/^the log can't be opened: /),
  });
  other.close();
  await once(other, 'close');
  await proxy.listen();
  expect(proxy.port).toBe(port);
  await proxy.close();
});

test('says so where it does not run', async () => {
  const proxy = createProxy({ port: 0, admin: false });
  const code = 'ERR_NOT_RUNNING';
  await expect(proxy.pools.default.add('http://localhost:1')).rejects.toMatchObject({ code });
  await expect(proxy.reload()).rejects.toMatchObject({ code });
  await expect(proxy.close({ within: 'soon' })).rejects.toMatchObject({
    code: 'ERR_INVALID_VALUE',
  });
  await proxy.close();
  await proxy.close();
  await expect(proxy.listen()).rejects.toMatchObject({ code });
});

test('what the caller does to its object later is no change of the config', async () => {
  const backends = [await named('one')];
  const proxy = await listening({ backends });
  backends.pop();
  await proxy.reload();
  expect(await textOf(proxy.url)).toBe('one');
});

test('every event of the log, and nothing else, can be listened to by its name', () => {
  // The table is what the source logs: see operations.test.ts.
  const table = codeRows(sectionOf(readPage('docs/operations.md'), '## Logs'))
    .filter((cells) => cells.length === 3)
    .map(([event]) => event);
  expect(table.toSorted()).toEqual([...EVENT_NAMES]);
});
