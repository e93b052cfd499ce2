/** Instances that share their configuration by a real etcd: scenarios of failure, as clients and operators see them. */
import { existsSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startEtcd } from '../../../support/etcd.ts';
import { httpBackend } from '../../../support/http-backend.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { hasTool } from '../../../support/tools.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { backendsOf, call, clusterCommand, initCluster, load, startInstance } from './instances.ts';

const CFG = '/fairlead/shop/cfg';
const REQUESTS = 300;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

describe.skipIf(!hasTool('etcd') || !hasTool('etcdctl'))('two instances and an etcd', () => {
  test('are one: changes at either are at both, races have one winner, and without etcd nothing is lost', async () => {
    const [first, second, third] = [await httpBackend(), await httpBackend(), await httpBackend()];
    const etcd = await startEtcd({ folder: temporaryFolder('etcd') });
    await initCluster(etcd.url, {
      pools: { web: { backends: [first.url, second.url] } },
      routes: [{ path: '/', pool: 'web' }],
    });
    const [a, b] = await Promise.all([
      startInstance('a', etcd.url, { more: { backends: ['http://127.0.0.1:9'] } }),
      startInstance('b', etcd.url),
    ]);
    const wanted = [`0 ${first.url} enabled 1`, `1 ${second.url} enabled 1`];
    expect(await backendsOf(a, 'web')).toEqual(wanted);
    expect(await backendsOf(b, 'web')).toEqual(wanted);
    // What stands in its own file is not used, and that is said.
    expect(a.output()).toContain(
      'backends: not used, since pools and routes are those of the cluster',
    );
    const clients = load([a.url, b.url]);

    // Seen at the other one: the poll of the test is in the figure.
    const seen: number[] = [];
    for (let weight = 2; weight < 12; weight++) {
      const done = await call(a, 'PATCH', '/pools/web/backends/0', { weight });
      expect(done.status).toBe(200);
      const begun = performance.now();
      await waitFor(async () => (await call(b, 'GET', '/pools/web/backends')).etag === done.etag);
      seen.push(performance.now() - begun);
      expect((await backendsOf(b, 'web'))[0]).toBe(`0 ${first.url} enabled ${weight}`);
    }
    process.stdout.write(`seen at the other instance after ${median(seen).toFixed(1)} ms (p50)\n`);

    // Two writers that have read the same.
    const { etag } = await call(b, 'GET', '/pools/web/backends');
    const race = await Promise.all(
      [a, b].map((one, index) =>
        call(
          one,
          'PATCH',
          '/pools/web/backends/1',
          { weight: 20 + index },
          { 'If-Match': etag ?? '' },
        ),
      ),
    );
    expect(race.map(({ status }) => status).toSorted((x, y) => x - y)).toEqual([200, 412]);
    const after = await backendsOf(a, 'web');
    await waitFor(async () => String(await backendsOf(b, 'web')) === String(after));

    // The same added twice at once; another one that waits for all.
    const added = await Promise.all(
      [a, b].map((one) => call(one, 'POST', '/pools/web/backends', { url: third.url })),
    );
    expect(added.map(({ status }) => status).toSorted((x, y) => x - y)).toEqual([201, 409]);
    const drained = await call(b, 'PATCH', '/pools/web/backends/2?wait=all', { state: 'draining' });
    expect(drained.status).toBe(200);
    expect((await backendsOf(a, 'web'))[2]).toBe(`2 ${third.url} draining 1`);
    expect((await call(a, 'DELETE', '/pools/web/backends/2?wait=all')).status).toBe(200);
    expect(await backendsOf(b, 'web')).toHaveLength(2);

    // Broken by hand: it stays what it was, and everybody says so.
    etcd.control('put', `${CFG}/pools/web`, '{"v":1,"pool":{"strategy":"best"}}');
    etcd.control('put', `${CFG}/meta/head`, '{"v":1,"write":"by hand","instance":"etcdctl"}');
    for (const one of [a, b]) {
      await one.waitForLog((line) => line.event === 'cluster.object_refused');
      expect((await call(one, 'GET', '/cluster')).body).toMatchObject({
        state: 'current',
        refused: [{ key: `${CFG}/pools/web`, reason: expect.stringContaining('strategy') }],
      });
    }
    etcd.control('put', `${CFG}/pools/web`, '{"v":1,"pool":{"strategy":"random-two"}}');
    await a.waitForLog((line) => line.event === 'cluster.objects_valid');
    expect((await call(a, 'GET', '/pools/web/strategy')).body).toMatchObject({
      strategy: 'random-two',
    });

    // Without etcd: nobody notices but who wants to change something.
    await etcd.kill();
    const refused = await call(a, 'PATCH', '/pools/web/backends/0', { weight: 1 });
    expect(refused).toMatchObject({ status: 503, body: { code: 'ERR_STORE_UNAVAILABLE' } });
    for (const one of [a, b]) await one.waitForLog((line) => line.event === 'cluster.stale');
    const known = await call(a, 'PATCH', '/pools/web/backends/0', { weight: 1 });
    expect(known.status).toBe(503);
    process.stdout.write(`refused in ${refused.ms.toFixed(0)} and ${known.ms.toFixed(0)} ms\n`);
    expect((await call(a, 'GET', '/readyz')).body).toMatchObject({
      status: 'ready',
      degraded: true,
    });
    // At one instance alone something can be done all the same, and it ends with the other's change.
    const own = await call(a, 'PATCH', '/pools/web/backends/1?persist=false', {
      state: 'disabled',
    });
    expect(own).toMatchObject({ status: 200, body: { state: 'disabled', kept: false } });
    const before = clients.sent();
    await waitFor(() => clients.sent() > before + REQUESTS);
    await etcd.start();
    for (const one of [a, b]) {
      await waitFor(async () => {
        const { body } = await call(one, 'GET', '/readyz');
        return (body as { degraded?: true }).degraded === undefined;
      });
    }
    const back = await call(b, 'PATCH', '/pools/web/backends/0?wait=all', { weight: 5 });
    expect(back.status).toBe(200);
    expect(await backendsOf(a, 'web')).toEqual([
      `0 ${first.url} enabled 5`,
      expect.stringContaining(`1 ${second.url} disabled`),
    ]);
    await clients.stop();
    expect(clients.failures()).toEqual([]);
    expect(a.logs().filter(({ event }) => event === 'cluster.stale')).toHaveLength(1);

    const { body: cluster } = await call(a, 'GET', '/cluster');
    expect(cluster).toMatchObject({
      members: [{ instance: 'a' }, { instance: 'b' }],
      health: { disagreements: [], silent: [] },
    });
    expect(await a.stop()).toBe(0);
    // It is gone at once, and not when its lease is over.
    await waitFor(async () => {
      const { body } = await call(b, 'GET', '/cluster');
      return (body as { members: unknown[] }).members.length === 1;
    });
  }, 60_000);

  test('start without etcd: from the disk, from the copy before a torn one, or not ready until it comes', async () => {
    const backend = await httpBackend();
    const etcd = await startEtcd({ folder: temporaryFolder('etcd') });
    await initCluster(etcd.url, { backends: [backend.url] });
    const cwd = temporaryFolder('a');
    const before = await startInstance('a', etcd.url, { cwd });
    expect((await call(before, 'PATCH', '/backends/0', { weight: 7 })).status).toBe(200);
    const snapshot = join(cwd, 'fairlead.cluster-a.json');
    await waitFor(() => existsSync(`${snapshot}.previous`));
    await before.stop();
    await etcd.kill();

    truncateSync(snapshot, 100);
    const begun = performance.now();
    const [again, fresh] = await Promise.all([
      startInstance('a', etcd.url, { cwd }),
      startInstance('b', etcd.url),
    ]);
    process.stdout.write(
      `from the disk ${(performance.now() - begun).toFixed(0)} ms after the start\n`,
    );
    await again.waitForLog((line) => line.event === 'cluster.from_disk');
    // The copy before the torn one: from before the change, or after.
    expect(await backendsOf(again, 'default')).toEqual([
      expect.stringContaining(`0 ${backend.url} enabled`),
    ]);
    expect((await fetch(again.url)).status).toBe(200);
    expect((await call(again, 'GET', '/readyz')).body).toMatchObject({ degraded: true });

    expect((await call(fresh, 'GET', '/readyz')).status).toBe(503);
    expect((await call(fresh, 'GET', '/livez')).status).toBe(200);
    expect((await fetch(fresh.url)).status).toBe(503);
    await etcd.start();
    const started = performance.now();
    await waitFor(async () => (await call(fresh, 'GET', '/readyz')).status === 200);
    process.stdout.write(`live ${(performance.now() - started).toFixed(0)} ms after etcd was\n`);
    for (const one of [again, fresh]) {
      await waitFor(async () =>
        (await backendsOf(one, 'default')).includes(`0 ${backend.url} enabled 7`),
      );
      expect((await fetch(one.url)).status).toBe(200);
    }
  }, 60_000);

  test('a link that goes silent, and a store that is wiped: what runs goes on, until somebody accepts', async () => {
    const backend = await httpBackend();
    const etcd = await startEtcd({ folder: temporaryFolder('etcd') });
    const link = await startTcpProxy(etcd.port);
    await initCluster(etcd.url, { backends: [backend.url] });
    const a = await startInstance('a', link.url);
    const clients = load([a.url], 2);
    link.blackHole(true);
    await a.waitForLog((line) => line.event === 'cluster.stale');
    const refused = await call(a, 'PATCH', '/backends/0', { weight: 2 });
    expect(refused.status).toBe(503);
    link.blackHole(false);
    link.cut();
    await waitFor(
      async () => (await call(a, 'PATCH', '/backends/0', { weight: 3 })).status === 200,
    );

    await etcd.kill();
    etcd.wipe();
    await etcd.start();
    await a.waitForLog((line) => line.event === 'cluster.held');
    expect((await call(a, 'PATCH', '/backends/0', { weight: 4 })).status).toBe(503);
    expect(await backendsOf(a, 'default')).toEqual([`0 ${backend.url} enabled 3`]);
    const other = await httpBackend();
    await initCluster(etcd.url, { backends: [backend.url, other.url] });
    await waitFor(async () => {
      const { body } = await call(a, 'GET', '/cluster');
      return (body as { found_epoch: string | null }).found_epoch !== null;
    });
    expect(await backendsOf(a, 'default')).toHaveLength(1);
    await waitFor(async () => {
      const { body } = await call(a, 'GET', '/cluster');
      return (body as { members: unknown[] }).members.length === 1;
    });
    const accepted = await clusterCommand(['accept-epoch'], etcd.url);
    expect(accepted).toMatchObject({ code: 0, stderr: '' });
    await waitFor(async () => (await backendsOf(a, 'default')).length === 2);
    // What was read is run on at once; written is when the watch on the new store has begun as well.
    await waitFor(
      async () => (await call(a, 'PATCH', '/backends/1', { weight: 4 })).status === 200,
    );
    await clients.stop();
    expect(clients.failures()).toEqual([]);
  }, 60_000);
});
