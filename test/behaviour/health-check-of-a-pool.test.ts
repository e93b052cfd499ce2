/** Each pool has checks of its own: what they ask, where, and what they are content with; changed by a reload. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { waitFor } from '../support/wait-for.ts';

interface View {
  readonly health: string;
  readonly reason: string;
}

test('two pools check one server in their own ways, and a reload changes one of them', async () => {
  const { port, url, requests } = await httpBackend((request, response) => {
    const { authorization = 'nobody', host } = request.headers;
    if (request.url === '/state') response.writeHead(404).end(`${host} knows ${authorization}`);
    else response.end('ok');
  });
  const other = await httpBackend();
  const healthCheck = {
    path: '/state',
    host: 'shop.test',
    headers: { Authorization: 'Bearer me' },
    expect_status: ['200-204', 404],
    expect_body: 'shop.test knows Bearer me',
    frequency: '200ms',
    timeout: '10s',
    fall: 1,
    rise: 1,
  };
  const config = (expectBody: string) => ({
    pools: {
      shop: { backends: [url], health_check: { ...healthCheck, expect_body: expectBody } },
      // Its own port is checked in place of one where nobody listens.
      side: {
        backends: [other.url],
        health_check: { path: '/plain', port, frequency: '1h', timeout: '10s' },
      },
    },
    routes: [
      { path: '/shop', pool: 'shop' },
      { path: '/side', pool: 'side' },
    ],
  });
  const fairlead = await startFairlead({ config: config(healthCheck.expect_body) });
  const view = async (pool: string): Promise<View> => {
    const answer = await fetch(`${fairlead.adminUrl}/pools/${pool}/backends`);
    return ((await answer.json()) as View[])[0] as View;
  };
  await waitFor(async () => (await view('shop')).health === 'healthy');
  await waitFor(async () => (await view('side')).health === 'healthy');
  expect((await view('shop')).reason).toContain('/state: 404');
  expect(requests).toContain('GET /plain');
  expect(other.requests).toEqual([]);
  expect((await fetch(`${fairlead.url}/side`)).status).toBe(200);
  expect(other.requests).toEqual(['GET /side']);

  const before = await view('side');
  await writeFile(join(fairlead.cwd, 'fairlead.config.json'), JSON.stringify(config('another')));
  expect((await fetch(`${fairlead.adminUrl}/reload`, { method: 'POST' })).status).toBe(200);
  await waitFor(async () => (await view('shop')).health === 'unhealthy');
  expect((await view('shop')).reason).toContain('404 without "another"');
  expect((await view('side')).reason).toBe(before.reason);
});
