import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { type LoadResult, loadSettings, validateConfigText } from '../src/config/load.ts';
import { runFairlead, startFairlead } from './support/fairlead.ts';
import { freePort } from './support/free-port.ts';
import { onFreePorts } from './support/free-ports.ts';
import { type HttpBackend, httpBackend } from './support/http-backend.ts';
import { rawClient } from './support/raw-client.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { refusalOf, visit } from './support/tls-client.ts';
import { LONG_MS, waitFor } from './support/wait-for.ts';

const examples = new URL('../examples/', import.meta.url);
const configs = readdirSync(examples).filter((name) => /\.(json|ya?ml)$/.test(name));

function load(config: string | undefined, env: Record<string, string> = {}): LoadResult {
  const flags = config === undefined ? { values: [] } : { config, values: [] };
  return loadSettings({ flags, env, cwd: fileURLToPath(new URL('../test', import.meta.url)) });
}

test.each(configs)('examples/%s is valid', (name) => {
  const result = load(fileURLToPath(new URL(name, examples)));
  expect(result).toMatchObject({ ok: true, notes: [] });
  const counts = result.ok ? result.settings.pools.map(({ backends }) => backends.length) : [];
  expect(Math.max(...counts)).toBeGreaterThan(1);
});

const discovery = readdirSync(new URL('discovery/', examples));

test.each(discovery)('examples/discovery/%s is valid', (name) => {
  const result = load(fileURLToPath(new URL(`discovery/${name}`, examples)));
  expect(result).toMatchObject({ ok: true, notes: [] });
  const found = result.ok ? result.settings.pools.filter((pool) => pool.discovery !== null) : [];
  expect(found.length).toBeGreaterThan(0);
});

test.each(['shop.yaml', 'in-containers.yaml', 'instance.yaml', 'instance-in-containers.yaml'])(
  'examples/cluster/%s is the config of a cluster',
  (name) => {
    const env = {
      INSTANCE: 'one',
      CLUSTER_KEY: '11'.repeat(32),
      FAIRLEAD_ADMIN_TOKEN: '22'.repeat(32),
    };
    const result = load(fileURLToPath(new URL(`cluster/${name}`, examples)), env);
    expect(result).toMatchObject({ ok: true, settings: { cluster: { name: 'shop' } } });
    const pools = result.ok ? result.settings.pools.map((pool) => pool.name) : [];
    // What an instance runs on is not in its file.
    expect(pools).toEqual(name.startsWith('instance') ? ['default'] : ['default', 'web']);
  },
);

test('examples/two-sites: each name has its certificate and its backends', async () => {
  const folder = temporaryFolder('two-sites');
  const env = { XDG_DATA_HOME: folder };
  const made = ['--out', join(folder, 'certs')];
  for (const names of [['shop.localhost'], ['blog.localhost', '*.blog.localhost']]) {
    expect((await runFairlead(['cert', 'dev', ...names, ...made], { env })).code).toBe(0);
  }
  const [shop, blog] = await Promise.all(
    ['shop', 'blog'].map((name) => httpBackend((_request, response) => void response.end(name))),
  );
  const file = join(folder, 'fairlead.yaml');
  const port = await onFreePorts(2, async ([own = 0, adminPort = 0]) => {
    const text = readFileSync(new URL('two-sites/fairlead.yaml', examples), 'utf8')
      .replaceAll('8443', String(own))
      .replace('localhost:4001', `127.0.0.1:${shop?.port}`)
      .replace('localhost:4002', `127.0.0.1:${blog?.port}`);
    writeFileSync(file, text);
    const args = ['--config', file, '--admin-port', String(adminPort)];
    const fairlead = await startFairlead({ args, ports: { port: own, adminPort }, cwd: folder });
    for (const site of [shop, blog]) {
      await fairlead.waitForLog(
        ({ event, msg }) => event === 'backend.up' && msg?.includes(`:${site?.port}`) === true,
      );
    }
    return own;
  });
  const ca = readFileSync(join(folder, 'fairlead', 'dev-authority', 'ca.crt'));
  const get = async (servername: string): Promise<string> => {
    const options = { servername, ca, rejectUnauthorized: true };
    return (await visit(port, options, '', servername)).answer;
  };
  expect(await get('shop.localhost')).toMatch(/shop$/);
  expect(await get('blog.localhost')).toMatch(/blog$/);
  expect(await get('de.blog.localhost')).toMatch(/blog$/);
  expect(await refusalOf(port, { servername: 'else.localhost' })).toMatch(/UNRECOGNIZED_NAME/);
});

test('examples/environment.env is valid', () => {
  const text = readFileSync(new URL('environment.env', examples), 'utf8');
  const variables = Array.from(text.matchAll(/^(\w+)=(.*)$/gm), ([, name, value]) => [name, value]);
  expect(variables.length).toBeGreaterThan(3);
  const result = load(undefined, Object.fromEntries(variables) as Record<string, string>);
  expect(result).toMatchObject({
    ok: true,
    settings: {
      listeners: [{ address: { port: 8080 } }],
      pools: [
        {
          healthCheck: { intervalMs: 10_000, path: '/health' },
          backends: [{ url: 'http://localhost:8081' }, { url: 'http://localhost:8082' }],
        },
      ],
    },
  });
});

test('the config of the README is valid', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const yaml = /```yaml\n([^]*?)```/.exec(readme)?.[1] ?? '';
  const result = validateConfigText(yaml, 'README.md', {
    flags: { values: [] },
    env: {},
    cwd: '.',
  });
  expect(result).toMatchObject({
    ok: true,
    settings: {
      listeners: [{ address: { port: 8080 } }],
      pools: [{ backends: [{}, { weight: 3 }] }],
    },
  });
});

/** The config of an example, with the ports of these backends in place of those that it names. */
function exampleWith(name: string, backends: Readonly<Record<number, HttpBackend>>) {
  const text = readFileSync(new URL(name, examples), 'utf8').replaceAll(
    /localhost:(\d+)/g,
    (whole, port: string) => `127.0.0.1:${backends[Number(port)]?.port ?? whole}`,
  );
  return parse(text) as Record<string, unknown>;
}

/** Answers with its name and what it was asked. */
function echo(name: string): Promise<HttpBackend> {
  return httpBackend((request, response) => {
    response.setHeader('Server', name);
    const { 'x-site': site, 'x-forwarded-prefix': prefix } = request.headers;
    response.end([name, request.url, site, prefix].join(' '));
  });
}

test('examples/api-beside-web.yaml: an API that knows nothing of its prefix', async () => {
  const config = exampleWith('api-beside-web.yaml', {
    3001: await echo('web'),
    3002: await echo('web'),
    4001: await echo('api'),
    4002: await echo('api'),
    4003: await echo('canary'),
  });
  const fairlead = await startFairlead({ config });
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(fairlead.url + path, { headers });
    return [await response.text(), response.headers.get('server')];
  };
  expect(await ask('/api/users?a')).toEqual(['api /users?a 127.0.0.1 /api', null]);
  expect(await ask('/api', { 'x-site': 'evil', X_Site: 'evil' })).toEqual([
    'api / 127.0.0.1 /api',
    null,
  ]);
  expect(await ask('/api/users', { 'x-canary': '1' })).toEqual(['canary /users  /api', 'canary']);
  expect(await ask('/rest/v0/a')).toEqual(['api /v0/a  ', 'api']);
  expect(await ask('/apix')).toEqual(['web /apix  ', 'web']);
});

test('examples/canary.yaml: one of ten clients gets the canary, and stays with it', async () => {
  const [one, two, next] = [await echo('shop'), await echo('shop'), await echo('shop-next')];
  const fairlead = await startFairlead({
    config: exampleWith('canary.yaml', { 3001: one, 3002: two, 4001: next }),
  });
  const ups = () => fairlead.logs().filter(({ event }) => event === 'backend.up').length;
  await waitFor(() => ups() === 3, LONG_MS);
  const counts = new Map<string, number>();
  let cookie = '';
  for (let asked = 0; asked < 100; asked++) {
    const response = await fetch(fairlead.url);
    const [pool = ''] = (await response.text()).split(' ');
    counts.set(pool, (counts.get(pool) ?? 0) + 1);
    if (pool === 'shop-next') cookie = response.headers.get('set-cookie')?.split(';')[0] ?? '';
  }
  const canaries = counts.get('shop-next') ?? 0;
  expect([canaries >= 6 && canaries <= 14, counts.get('shop')]).toEqual([true, 100 - canaries]);
  for (let asked = 0; asked < 20; asked++) {
    const response = await fetch(fairlead.url, { headers: { cookie } });
    expect(await response.text()).toMatch(/^shop-next /);
  }
});

test('examples/maintenance.yaml shows its page, and lets the office in', async () => {
  const [one, other] = [await httpBackend(), await httpBackend()];
  const cwd = temporaryFolder('example');
  const page = readFileSync(new URL('maintenance.html', examples), 'utf8');
  const config = readFileSync(new URL('maintenance.yaml', examples), 'utf8')
    .replace('http://localhost:3001', one.url)
    .replace('http://localhost:3002', other.url);
  await writeFile(join(cwd, 'maintenance.html'), page);
  await writeFile(join(cwd, 'maintenance.yaml'), config);
  const fairlead = await startFairlead({ cwd, args: ['--config', 'maintenance.yaml'] });
  for (const { url } of [one, other]) {
    await fairlead.waitForLog(
      ({ event, msg }) => event === 'backend.up' && msg?.includes(url) === true,
    );
  }
  const closed = await fetch(`${fairlead.url}/cart`);
  expect([closed.status, closed.headers.get('retry-after')]).toEqual([503, '600']);
  expect(closed.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(await closed.text()).toBe(page);
  const office = await fetch(`${fairlead.url}/cart`, { headers: { 'x-preview': '1' } });
  expect([office.status, await office.text()]).toEqual([200, 'ok']);
  await writeFile(join(cwd, 'maintenance.yaml'), config.replace('{ retry_after: 10m }', 'false'));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  expect((await fetch(`${fairlead.url}/cart`)).status).toBe(200);
});

test('examples/behind-a-balancer.yaml: the balancer says who its client is', async () => {
  const backend = await httpBackend((request, response) => {
    response.end(`for ${request.headers['x-forwarded-for']}`);
  });
  const [port, adminPort, direct] = [await freePort(), await freePort(), await freePort()];
  const config = parse(
    readFileSync(new URL('behind-a-balancer.yaml', examples), 'utf8')
      .replace('port: 8080', `port: ${port}`)
      .replace('port: 8180', `port: ${direct}`)
      .replace('http://localhost:8081', backend.url)
      .replace('http://localhost:8082', (await httpBackend()).url),
  ) as Record<string, unknown>;
  const backends = [backend.url];
  await startFairlead({
    config: { ...config, backends, admin_port: adminPort, state_file: false },
    ports: { port, adminPort },
  });
  const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  const balancer = await rawClient(port);
  await balancer.write(`PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n${request}`);
  expect((await balancer.readResponse()).body.toString()).toBe('for 203.0.113.9');
  const client = await rawClient(direct);
  await client.write(request);
  expect((await client.readResponse()).body.toString()).toBe('for 127.0.0.1');
});
