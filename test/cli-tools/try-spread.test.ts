/** `fairlead try` on servers whose answers don't say who gave them. */
import { expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { httpBackend } from '../support/http-backend.ts';

async function stage() {
  const [a, b] = [await httpBackend(), await httpBackend()];
  const config = { backends: [{ url: a.url, weight: 3 }, b.url], access_log: false };
  return { a: a.url, b: b.url, fairlead: await startFairlead({ config }) };
}

test('the spread is what the counters of the admin API have grown by', async () => {
  const { a, b, fairlead } = await stage();
  // Something was there before.
  for (let index = 0; index < 3; index++) await fetch(fairlead.url);
  const where = [fairlead.url, '-n', '40', '-c', '3', '--admin', fairlead.adminUrl];
  const { code, stdout } = await runFairlead(['try', ...where]);
  expect(code).toBe(0);
  expect(stdout).toContain('Backends, by the counters of the admin API\n');
  // In the order of their URLs, which the system's choice of ports decides.
  expect(stdout).toMatch(new RegExp(` ${a} +30 +75\\.0 %\n`));
  expect(stdout).toMatch(new RegExp(` ${b} +10 +25\\.0 %\n`));
  expect(stdout).not.toContain('unknown');
  const json = await runFairlead(['try', ...where, '--json']);
  expect(JSON.parse(json.stdout)).toMatchObject({
    backends: { [a]: 30, [b]: 10 },
    backends_by: 'admin-api',
  });
  expect(Object.keys((JSON.parse(json.stdout) as { backends: object }).backends)).toHaveLength(2);
});

test('the counters of all pools count', async () => {
  const [a, b] = [await httpBackend(), await httpBackend()];
  const pools = { web: { backends: [a.url] }, api: { backends: [a.url, b.url] } };
  const routes = [
    { path: '/', pool: 'web' },
    { path: '/api/', pool: 'api' },
  ];
  const fairlead = await startFairlead({ config: { pools, routes, access_log: false } });
  const spreadOf = async (path: string) => {
    const where = [fairlead.url + path, '-n', '8', '--admin', fairlead.adminUrl, '--json'];
    const { stdout } = await runFairlead(['try', ...where]);
    return (JSON.parse(stdout) as { backends: unknown }).backends;
  };
  expect(await spreadOf('/')).toEqual({ [a.url]: 8 });
  expect(await spreadOf('/api/')).toEqual({ [a.url]: 4, [b.url]: 4 });
});

test('the admin API is where the config says, and is not asked for a target elsewhere', async () => {
  const { a, fairlead } = await stage();
  const { stdout } = await runFairlead(['try', fairlead.url, '-n', '8'], {
    env: { FAIRLEAD_ADMIN_URL: fairlead.adminUrl },
  });
  expect(stdout).toMatch(new RegExp(`${a} +6 `));
  // Past the proxy: nothing grows, and nothing is claimed.
  const direct = await runFairlead(['try', a, '-n', '8', '--admin', fairlead.adminUrl]);
  expect(direct.stdout).toMatch(/unknown +8 +100\.0 %/);
});

test('without an admin API it stays unknown; one that was named has to answer', async () => {
  const { url } = await httpBackend();
  const nobody = `http://127.0.0.1:${await freePort()}`;
  const { code, stdout } = await runFairlead(['try', url, '-n', '4'], {
    env: { FAIRLEAD_ADMIN_URL: nobody },
  });
  expect(code).toBe(0);
  expect(stdout).toMatch(/unknown +4 +100\.0 %/);
  const named = await runFairlead(['try', url, '-n', '4', '--admin', nobody]);
  expect(named).toMatchObject({ code: 2, stdout: '' });
  expect(named.stderr).toMatch(/^fairlead try: no answer from the admin API at http:.*\n$/);
});
