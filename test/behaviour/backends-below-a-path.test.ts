/** A path in the URL of a backend: before that of each request, not of checks; nothing leads out of it; redirects lose it. */
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { waitFor } from '../support/wait-for.ts';
import { QUIET_HEALTH } from './stage.ts';

async function ask(port: number, target: string, method = 'GET') {
  const client = await rawClient(port);
  await client.write(
    `${method} ${target} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n`,
  );
  return client.readResponse();
}

test('requests go below it byte for byte, also with a Host of the backend', async () => {
  const { url, requests } = await httpBackend();
  for (const [round, host_header] of ['client', 'backend'].entries()) {
    const fairlead = await startFairlead({
      config: { ...QUIET_HEALTH, backends: [`${url}/base/`], host_header },
    });
    for (const target of ['/x/y?z=/../1', '/', '/%c3%bc+', 'http://other.test/abs']) {
      expect((await ask(fairlead.port, target)).status).toBe(200);
    }
    expect(requests.slice(round * 4)).toEqual([
      'GET /base/x/y?z=/../1',
      'GET /base/',
      'GET /base/%C3%BC+',
      'GET /base/abs',
    ]);
    const line = await waitFor(() => fairlead.accessLines()[0]);
    expect(line).toMatchObject({ backend: `${url}/base` });
    await fairlead.stop();
  }
});

test('nothing leads out of it', async () => {
  const { url, requests } = await httpBackend();
  const fairlead = await startFairlead({ config: { ...QUIET_HEALTH, backends: [`${url}/base`] } });
  const outside = [
    '/../admin',
    '/x/../../admin',
    '/%2e%2e/admin',
    '/.%2E/admin',
    '/..%2fadmin',
    '/..;/admin',
    '/..\\admin',
  ];
  for (const target of outside) {
    expect([target, (await ask(fairlead.port, target)).status]).toEqual([target, 400]);
  }
  expect((await ask(fairlead.port, '/x/../admin')).status).toBe(200);
  expect((await ask(fairlead.port, '//admin')).status).toBe(200);
  expect(requests).toEqual(['GET /base/admin', 'GET /base/admin']);
});

test('one that comes by the API is heeded at once, and is another backend than one without', async () => {
  const { url, requests } = await httpBackend();
  const fairlead = await startFairlead({ config: { ...QUIET_HEALTH, backends: [] } });
  const add = async (backend: string): Promise<number> => {
    const body = JSON.stringify({ url: backend });
    return (await fetch(`${fairlead.adminUrl}/backends`, { method: 'POST', body })).status;
  };
  expect(await add(`${url}/base`)).toBe(201);
  expect(await add(`${url}/base/`)).toBe(409);
  expect((await ask(fairlead.port, '/../x')).status).toBe(400);
  expect(await add(url)).toBe(201);
  for (let round = 0; round < 4; round++) await ask(fairlead.port, '/x');
  expect(requests.filter((one) => one === 'GET /base/x').length).toBe(2);
  expect(requests.filter((one) => one === 'GET /x').length).toBe(2);
});

test('a retry goes below the path of the other backend', async () => {
  const { url: bad } = await httpBackend((_request, response) => response.writeHead(503).end());
  const good = await httpBackend();
  const fairlead = await startFairlead({
    config: {
      ...QUIET_HEALTH,
      backends: [`${bad}/one`, { url: `${good.url}/two`, backup: true }],
      retries: { on_status: [503] },
    },
  });
  expect((await ask(fairlead.port, '/x')).status).toBe(200);
  expect(good.requests).toEqual(['GET /two/x']);
});

test('checks are not below it', async () => {
  const { url, requests } = await httpBackend();
  const fairlead = await startFairlead({
    config: { backends: [`${url}/base`], health_check_path: '/up', health_check_frequency: '1h' },
  });
  await waitFor(async () => (await fetch(fairlead.url)).status === 200);
  expect(requests[0]).toBe('GET /up');
  const [view] = (await (await fetch(`${fairlead.adminUrl}/backends`)).json()) as {
    reason: string;
  }[];
  expect(view?.reason).toContain(`GET ${url}/up: 200`);
});

test('redirects lose it where they are rewritten', async () => {
  const { url } = await httpBackend((request, response) => {
    const Location = request.url === '/base/abs' ? `${url}/base/next?a` : '/base/next?b';
    response.writeHead(302, { Location }).end();
  });
  const fairlead = await startFairlead({
    config: { ...QUIET_HEALTH, backends: [`${url}/base`], location: 'rewrite' },
  });
  const locationOf = async (target: string) =>
    (await ask(fairlead.port, target)).fields.get('location');
  expect(await locationOf('/abs')).toEqual(['http://shop.test/next?a']);
  expect(await locationOf('/own')).toEqual(['http://shop.test/next?b']);
});

test('what a route has rewritten goes below it', async () => {
  const { url, requests } = await httpBackend();
  const fairlead = await startFairlead({
    config: {
      ...QUIET_HEALTH,
      pools: { a: { backends: [`${url}/base`], health_check: { method: 'tcp', timeout: '10s' } } },
      routes: [
        { path: '/v1/', strip_prefix: '/v1', pool: 'a' },
        { path: '/', pool: 'a' },
      ],
    },
  });
  expect((await ask(fairlead.port, '/v1/x?y')).status).toBe(200);
  expect((await ask(fairlead.port, '/v1')).status).toBe(200);
  expect((await ask(fairlead.port, '/v1/../z')).status).toBe(200);
  expect(requests).toEqual(['GET /base/x?y', 'GET /base/', 'GET /base/z']);
});
