/** What goes wrong between an instance and a real etcd: nothing is lost, nothing is emptied, and a silence is noticed. */
import { describe, expect, test } from 'vitest';
import { EtcdStore } from '../../../../src/control/cluster/etcd/etcd-store.ts';
import { afterTest } from '../../../support/after-test.ts';
import { type Etcd, startEtcd } from '../../../support/etcd.ts';
import { begin, followStore, write } from '../../../support/followed.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { hasTool } from '../../../support/tools.ts';
import { waitFor } from '../../../support/wait-for.ts';

function connectTo(url: string): EtcdStore {
  const store = new EtcdStore({ endpoints: [url] });
  afterTest(() => store.close());
  return store;
}

/** Without the reasons. */
function namesOf(states: readonly string[]): string[] {
  return states.map((state) => state.split(':', 1).join(''));
}

/** Begun, with one value. */
async function stage(): Promise<{ etcd: Etcd; direct: EtcdStore }> {
  const etcd = await startEtcd({ folder: temporaryFolder('etcd') });
  const direct = connectTo(etcd.url);
  await begin(direct, 'first');
  await write(direct, 'a', '0');
  return { etcd, direct };
}

describe.skipIf(!hasTool('etcd') || !hasTool('etcdctl'))('an etcd that is followed', () => {
  test('killed and started again: what was known stays, what is written then comes', async () => {
    const { etcd, direct } = await stage();
    const follower = followStore(connectTo(etcd.url));
    await follower.becomes('current');
    await etcd.kill();
    await follower.becomes('stale');
    await follower.has({ a: '0' });
    await etcd.start();
    await write(direct, 'a', '1');
    await follower.has({ a: '1' });
    await follower.becomes('current');
    // However often it tried, it said so once.
    expect(namesOf(follower.states)).toEqual(['current', 'stale', 'current']);
  });

  test('behind a link that goes silent: that is noticed, and it is current after healing', async () => {
    const { etcd, direct } = await stage();
    const proxy = await startTcpProxy(etcd.port);
    const follower = followStore(connectTo(proxy.url));
    await follower.becomes('current');
    proxy.blackHole(true);
    await write(direct, 'a', '1');
    await follower.becomes('stale');
    await follower.has({ a: '0' });
    proxy.blackHole(false);
    await follower.has({ a: '1' });
    await follower.becomes('current');
    expect(namesOf(follower.states)).toEqual(['current', 'stale', 'current']);
  });

  test('whose watch is cut right after it began, three times: nothing is lost', async () => {
    const { etcd, direct } = await stage();
    const proxy = await startTcpProxy(etcd.port);
    const follower = followStore(connectTo(proxy.url));
    await follower.becomes('current');
    proxy.cutAfter('"created":true', 3);
    proxy.cut();
    for (const value of ['1', '2', '3', '4', '5']) await write(direct, value, value);
    await waitFor(() => proxy.cutsLeft === 0);
    await follower.has({ a: '0', 1: '1', 2: '2', 3: '3', 4: '4', 5: '5' });
    await follower.becomes('current');
    expect(follower.copies.every(({ objects }) => objects.has('cfg/a'))).toBe(true);
  });

  test('that was compacted while it was out of reach: all is read again', async () => {
    const { etcd, direct } = await stage();
    const proxy = await startTcpProxy(etcd.port);
    const follower = followStore(connectTo(proxy.url));
    await follower.becomes('current');
    proxy.blackHole(true);
    for (const value of ['1', '2', '3']) await write(direct, 'a', value);
    const { revision } = await direct.read('cfg/a');
    etcd.control('compact', String(revision));
    await follower.becomes('stale');
    proxy.blackHole(false);
    proxy.cut();
    await follower.has({ a: '3' });
    await follower.becomes('current');
    expect(namesOf(follower.states).at(-1)).toBe('current');
    expect(follower.copies.at(-1)?.revision).toBe(revision);
  });

  test('wiped, and begun anew: nothing is emptied, it is held until it is accepted', async () => {
    const { etcd, direct } = await stage();
    const follower = followStore(connectTo(etcd.url));
    await follower.becomes('current');
    await etcd.kill();
    etcd.wipe();
    await etcd.start();
    await follower.becomes('held');
    await begin(direct, 'second');
    await write(direct, 'b', '1');
    await waitFor(() => follower.followed.foundEpoch === 'second');
    await follower.has({ a: '0' });
    expect(follower.copies.map(({ epoch }) => epoch)).not.toContain('second');
    follower.followed.accept('second');
    await follower.has({ b: '1' });
    await follower.becomes('current');
  });
});
