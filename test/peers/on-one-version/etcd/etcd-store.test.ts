/** The store on a real etcd: what every store does, and what this engine does besides. */

import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  EtcdStore,
  type EtcdStoreOptions,
} from '../../../../src/control/cluster/etcd/etcd-store.ts';
import { describeStore } from '../../../control/cluster/store-conformance.ts';
import { afterTest } from '../../../support/after-test.ts';
import { Authority } from '../../../support/authority.ts';
import { type Etcd, type EtcdOptions, startEtcd } from '../../../support/etcd.ts';
import { freePort } from '../../../support/free-port.ts';
import { slowness } from '../../../support/machine-speed.ts';
import { follow, put, untilTold, valueOf } from '../../../support/store-watch.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { hasTool } from '../../../support/tools.ts';
import { waitFor } from '../../../support/wait-for.ts';

function connectTo(endpoints: string | readonly string[], more: Partial<EtcdStoreOptions> = {}) {
  const store = new EtcdStore({ endpoints: [endpoints].flat(), ...more });
  afterTest(() => store.close());
  return store;
}

function newEtcd(more: Partial<EtcdOptions> = {}): Promise<Etcd> {
  return startEtcd({ folder: temporaryFolder('etcd'), ...more });
}

function eventAt(revision: number): object {
  const key = Buffer.from('a').toString('base64');
  return { kv: { key, value: key, mod_revision: String(revision), create_revision: '1' } };
}

async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

describe.skipIf(!hasTool('etcd') || !hasTool('etcdctl'))('etcd', () => {
  let shared: Etcd;

  /** Whose every key is gone before each of them. */
  beforeAll(async () => {
    shared = await newEtcd();
  });

  describeStore('etcd', async () => {
    shared.control('del', '', '--from-key');
    return {
      client: (timing) => connectTo(shared.url, timing && { timing }),
      compact: () => {
        const status = JSON.parse(shared.control('endpoint', 'status', '-w', 'json'));
        shared.control('compact', String(status[0].Status.header.revision));
      },
    };
  });

  test('an endpoint that is dead costs nothing but the way to the next one', async () => {
    const etcd = await newEtcd();
    const dead = `http://127.0.0.1:${await freePort()}`;
    const store = connectTo([dead, etcd.url]);
    await put(store, 'a', '1');
    expect(await valueOf(store, 'a')).toBe('1');
    const followed = follow(connectTo([dead, etcd.url]), 'a', 1);
    // A watch is of one endpoint; the next one begins elsewhere.
    await waitFor(() => followed.end());
  });

  test('a write to an etcd that is gone is refused at once, and never made', async () => {
    const etcd = await newEtcd();
    const store = connectTo(etcd.url);
    await put(store, 'a', '1');
    await etcd.kill();
    // Whoever writes before the end of the kept connection is heard of can't know what became of it.
    await waitFor(() =>
      put(store, 'a', '2').catch(({ kind }: { kind?: string }) => kind === 'unreachable'),
    );
    const took = await millisecondsOf(() =>
      expect(put(store, 'a', '2')).rejects.toMatchObject({ kind: 'unreachable' }),
    );
    expect(took / slowness()).toBeLessThan(1_000);
    await etcd.start();
    expect(await valueOf(store, 'a')).toBe('1');
  });

  test('what a frozen etcd was asked for has no known outcome; reads go to the next endpoint', async () => {
    const [frozen, other] = [await newEtcd(), await newEtcd()];
    const store = connectTo([frozen.url, other.url]);
    await put(store, 'a', '1');
    await put(connectTo(other.url), 'a', 'other');
    frozen.signal('SIGSTOP');
    afterTest(() => frozen.signal('SIGCONT'));
    await expect(put(store, 'a', '2')).rejects.toMatchObject({ kind: 'outcome-unknown' });
    expect(await valueOf(connectTo([frozen.url, other.url]), 'a')).toBe('other');
    const alone = connectTo(frozen.url);
    const took = await millisecondsOf(() =>
      expect(alone.read('a', 300)).rejects.toMatchObject({ kind: 'unreachable' }),
    );
    expect(took).toBeGreaterThan(290);
    expect(took / slowness()).toBeLessThan(2_000);
  });

  test('after a silent link has healed, the next call does not wait on an old connection', async () => {
    const etcd = await newEtcd();
    const proxy = await startTcpProxy(etcd.port);
    const store = connectTo(proxy.url);
    await put(store, 'a', '1');
    await valueOf(store, 'a');
    proxy.blackHole(true);
    await expect(store.read('a', 200)).rejects.toMatchObject({ kind: 'unreachable' });
    proxy.blackHole(false);
    expect(await valueOf(store, 'a')).toBe('1');
  });

  test('a watch that is cut right after it began tells everything, once it goes on where it was', async () => {
    const etcd = await newEtcd();
    const proxy = await startTcpProxy(etcd.port);
    const direct = connectTo(etcd.url);
    const after = await put(direct, 'w', '0');
    await put(direct, 'w', '1');
    proxy.cutAfter('"created":true', 1);
    const store = connectTo(proxy.url);
    const cut = follow(store, 'w', after);
    await waitFor(() => cut.end());
    expect(cut.end()).toMatchObject({ kind: 'failed' });
    await put(direct, 'w', '2');
    const next = follow(store, 'w', cut.batches.at(-1) ?? after);
    await waitFor(() => [...cut.told(), ...next.told()].join(' ') === 'w=1 w=2');
  });

  test('TLS: the authority that is named is trusted, and no other', async () => {
    const authority = new Authority();
    const { cert, key } = authority.sign('etcd.test');
    const folder = temporaryFolder('etcd-tls');
    const [certFile, keyFile] = [join(folder, 'etcd.crt'), join(folder, 'etcd.key')];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const etcd = await newEtcd({ tls: { certFile, keyFile } });
    const ca = readFileSync(authority.file, 'utf8');
    const store = connectTo(etcd.url, { tls: { ca, serverName: 'etcd.test' } });
    await put(store, 'a', '1');
    const followed = follow(store, 'a', (await put(store, 'a', '2')) - 1);
    await untilTold(followed, ['a=2']);
    const stranger = connectTo(etcd.url, { tls: { serverName: 'etcd.test' } });
    await expect(valueOf(stranger, 'a')).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(put(stranger, 'a', '3')).rejects.toMatchObject({ kind: 'unreachable' });
    expect(await valueOf(store, 'a')).toBe('2');
  });

  test('a user logs in, again when the token has expired, and sees what is its own only', async () => {
    const etcd = await newEtcd({ flags: ['--auth-token-ttl=1'] });
    etcd.control('user', 'add', 'root:secret');
    etcd.control('user', 'grant-role', 'root', 'root');
    etcd.control('user', 'add', 'fairlead:pass word');
    etcd.control('role', 'add', 'fairlead');
    etcd.control('role', 'grant-permission', 'fairlead', '--prefix=true', 'readwrite', '/mine/');
    etcd.control('user', 'grant-role', 'fairlead', 'fairlead');
    etcd.control('auth', 'enable');
    const store = connectTo(etcd.url, { login: { user: 'fairlead', password: 'pass word' } });
    const after = await put(store, '/mine/a', '1');
    await expect(put(store, '/other/a', '1')).rejects.toMatchObject({ kind: 'refused' });
    await expect(store.list('/')).rejects.toMatchObject({ kind: 'refused' });
    // The token is forgotten by etcd while nobody uses it.
    const idleUntil = performance.now() + 2_500;
    await waitFor(() => performance.now() > idleUntil);
    await put(store, '/mine/a', '2');
    const followed = follow(store, '/mine/', after);
    await untilTold(followed, ['/mine/a=2']);
    const wrong = connectTo(etcd.url, { login: { user: 'fairlead', password: 'wrong' } });
    await expect(valueOf(wrong, '/mine/a')).rejects.toThrow('does not let the user fairlead in');
    const nobody = connectTo(etcd.url);
    await expect(valueOf(nobody, '/mine/a')).rejects.toMatchObject({ kind: 'refused' });
  });

  test('an etcd that is full takes no writes, says so, and is read and watched all the same', async () => {
    const etcd = await newEtcd({ flags: ['--quota-backend-bytes=200000'] });
    const store = connectTo(etcd.url);
    const after = await put(store, 'a', '1');
    const fill = async () => {
      for (let index = 0; index < 100; index++)
        await put(store, `fill/${index}`, 'x'.repeat(50_000));
    };
    await expect(fill()).rejects.toMatchObject({ kind: 'full' });
    await expect(store.lease({ ttlMs: 5_000 })).rejects.toMatchObject({ kind: 'full' });
    expect(await valueOf(store, 'a')).toBe('1');
    const followed = follow(store, 'fill/0', after);
    await waitFor(() => followed.changes.length === 1);
  });

  test('a server that is not etcd is told from one', async () => {
    const server = createServer((_request, response) => response.end('<html>hello</html>'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    afterTest(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const store = connectTo(`http://127.0.0.1:${port}`);
    await expect(store.list('')).rejects.toThrow('does not answer as etcd does');
    const followed = follow(store, '', 1);
    await waitFor(() => followed.end());
    expect(followed.end()).toMatchObject({ kind: 'failed' });
  });

  test('events that were told before are dropped, also where a watch brings them again', async () => {
    const lines = [
      { result: { header: { revision: '9' }, created: true } },
      { result: { header: { revision: '9' }, events: [eventAt(4), eventAt(6)] } },
      { result: { header: { revision: '9' }, events: [eventAt(6), eventAt(5)] } },
      { result: { header: { revision: '9' }, events: [eventAt(7)] } },
    ];
    const server = createServer((_request, response) => {
      for (const line of lines) response.write(`${JSON.stringify(line)}\n`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    afterTest(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const followed = follow(connectTo(`http://127.0.0.1:${port}`), 'a', 5);
    await waitFor(() => followed.batches.at(-1) === 7);
    expect(followed.changes.map(({ object }) => object?.revision)).toEqual([6, 7]);
  });
});
