/** What operators ask of a cluster on a real etcd, at an instance that may die before it is done. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startEtcd } from '../../../support/etcd.ts';
import { runFairlead } from '../../../support/fairlead.ts';
import { httpBackend } from '../../../support/http-backend.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { hasTool } from '../../../support/tools.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { backendsOf, call, configOf, initCluster, startInstance } from './instances.ts';

/** The cookie that a visit gets, and who answered. */
async function session(url: string, cookie?: string): Promise<[string | undefined, string]> {
  const response = await fetch(url, { headers: cookie === undefined ? {} : { cookie } });
  const [given] = (response.headers.get('set-cookie') ?? '').split(';');
  return [given === '' ? undefined : given, await response.text()];
}

test.skipIf(!hasTool('etcd') || !hasTool('etcdctl'))(
  'what one instance has begun is finished by the other',
  async () => {
    const [one, other] = await Promise.all(
      ['one', 'other'].map((name) => httpBackend((_request, response) => response.end(name))),
    );
    const held = await httpBackend(() => {});
    const etcd = await startEtcd({ folder: temporaryFolder('etcd') });
    const keyFile = join(temporaryFolder('key'), 'key');
    writeFileSync(keyFile, randomBytes(32).toString('base64'));
    await initCluster(etcd.url, {
      pools: {
        web: { backends: [one?.url, other?.url], sticky: { by: 'cookie', name: 'shop' } },
        slow: { backends: [held.url], health_check: { method: 'tcp' } },
      },
      routes: [
        { path: '/slow', pool: 'slow' },
        { path: '/', pool: 'web' },
      ],
    });
    const start = (name: string) => {
      const { cluster } = configOf(name, etcd.url);
      const more = { cluster: { ...(cluster as object), key_file: keyFile } };
      return startInstance(name, etcd.url, { more });
    };
    const [a, b] = await Promise.all([start('a'), start('b')]);

    // The secret of session cookies goes over to another one, and no session ends.
    const secretsAt = () =>
      etcd.control('get', '/fairlead/shop/cfg/sec/', '--prefix', '--keys-only');
    await waitFor(() => secretsAt().includes('sec/cookies'));
    const config = join(a.cwd, 'fairlead.config.json');
    const rotate = () =>
      runFairlead(['cluster', 'rotate-secret', '--config', config], { cwd: a.cwd });
    const [before = '', bodyBefore] = await waitFor(async () => {
      const [cookie, body] = await session(a.url);
      const [anew] = await session(b.url, cookie);
      return anew === undefined ? ([cookie, body] as const) : undefined;
    });
    expect(await rotate()).toMatchObject({ code: 0, stdout: expect.stringContaining('secret') });
    await waitFor(() => secretsAt().includes('sec/cookies-former'));
    for (const { url } of [a, b]) {
      const now = await waitFor(async () => {
        const [cookie, body] = await session(url);
        return body === bodyBefore && cookie !== before ? cookie : undefined;
      });
      // The one of before is good at both, and so is the one of now.
      for (const cookie of [before, now]) {
        expect(await session(a.url, cookie)).toEqual([undefined, bodyBefore]);
        expect(await session(b.url, cookie)).toEqual([undefined, bodyBefore]);
      }
    }

    // A command that waits for all.
    const weighed = await runFairlead(['weight', '0', '9', '--wait', '--admin', a.adminUrl], {
      cwd: a.cwd,
    });
    expect(weighed).toMatchObject({ code: 0, stderr: '' });
    expect((await backendsOf(b, 'web'))[0]).toMatch(/ 9$/);

    // A change of many objects is on its way: nobody runs on half of it, and nobody else changes anything.
    const cfg = '/fairlead/shop/cfg';
    const strategyAt = async () =>
      ((await call(b, 'GET', '/pools/web/strategy')).body as { strategy: string }).strategy;
    etcd.control('put', `${cfg}/meta/staged`, 'x');
    etcd.control('put', `${cfg}/ctl/web`, '{"v":1,"strategy":"random-two"}');
    etcd.control('put', `${cfg}/meta/head`, '{"v":1,"write":"by hand","instance":"etcdctl"}');
    const busy = await call(b, 'PATCH', '/pools/web/backends/0', { weight: 3 });
    expect(busy).toMatchObject({ status: 503, body: { code: 'ERR_STORE_BUSY' } });
    expect(await strategyAt()).toBe('round-robin');
    etcd.control('del', `${cfg}/meta/staged`);
    await waitFor(async () => (await strategyAt()) === 'random-two');

    // A removal that waits for a request: whoever was asked for it dies before its deadline.
    const lost = fetch(`${a.url}/slow`).catch(() => 'lost');
    await waitFor(() => held.requests.length > 0);
    const path = '/pools/slow/backends/2';
    const leaving = await call(a, 'DELETE', `${path}?drain=2s&wait=all`);
    expect(leaving.status).toBe(202);
    const { body } = await call(b, 'GET', path);
    const { draining } = body as { draining: { since: string; deadline: string } };
    expect(Date.parse(draining.deadline) - Date.parse(draining.since)).toBe(2_000);
    await a.kill();
    expect(await lost).toBe('lost');
    await waitFor(async () => (await backendsOf(b, 'slow')).length === 0);
    expect(etcd.control('get', '/fairlead/shop/cfg/ctl/slow/', '--prefix')).toBe('');
  },
  240_000,
);
