/** The scripts that count and keep sessions, in a real redis-server: its clock is the real one, so what is asked for is too slow to come back meanwhile. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RedisSettings } from '../../../../src/config/redis-settings.ts';
import type { Take, Taken } from '../../../../src/control/counter-engine/counter-store.ts';
import {
  type RedisModule,
  RedisStore,
} from '../../../../src/control/counter-engine/redis-store.ts';
import { afterTest } from '../../../support/after-test.ts';
import { Authority } from '../../../support/authority.ts';
import { freePort } from '../../../support/free-port.ts';
import { type RedisServer, startRedis } from '../../../support/redis.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { hasTool } from '../../../support/tools.ts';
import { waitFor } from '../../../support/wait-for.ts';

const HOUR_MS = 3_600_000;

let redis: RedisServer;
let store: RedisStore;

async function connect(settings: Partial<RedisSettings>): Promise<RedisStore> {
  const module = (await import('ioredis')) as unknown as RedisModule;
  let isReady = false;
  let last: Error | undefined;
  const made = new RedisStore(
    module,
    {
      url: redis.url,
      username: undefined,
      password: undefined,
      passwordFile: undefined,
      prefix: 'test:',
      tls: {},
      files: {},
      ...settings,
    },
    {
      onReady: () => {
        isReady = true;
      },
      onError: (reason) => {
        last = new Error(reason);
      },
    },
  );
  afterTest(() => made.close());
  await waitFor(() => isReady).catch((error: unknown) => {
    throw last ?? error;
  });
  return made;
}

let keys = 0;

/** What is granted of a key that was never used, and how the rest stands. */
async function take(
  of: Partial<Take> & { readonly rate?: number; readonly burst?: number },
): Promise<Taken> {
  const { rate = 10, burst = 10, ...more } = of;
  const limit = { key: { by: 'ip', name: '' }, rate, perMs: HOUR_MS, burst } as const;
  return store.take({ owner: 'pool default', key: `k${keys}`, limit, want: 1, debtMs: 0, ...more });
}

async function nameOfOnly(): Promise<string> {
  const listed = await redis.command('KEYS test:*');
  return /test:\S+/.exec(listed)?.[0] ?? '';
}

async function leftMsOfOnly(): Promise<number> {
  return Number((await redis.command(`PTTL ${await nameOfOnly()}`)).slice(1));
}

function claim(value: string, instead = '', firstTtlMs = HOUR_MS): Promise<string> {
  return store.claim({ owner: 'web', key: `k${keys}`, value, instead, ttlMs: HOUR_MS, firstTtlMs });
}

// On a busy machine the server is late now and then.
describe.skipIf(!hasTool('redis-server'))('the script', { retry: 3 }, () => {
  beforeAll(async () => {
    redis = await startRedis();
    store = await connect({});
  });

  beforeEach(async () => {
    keys++;
    await redis.command('FLUSHALL');
  });

  test('grants a burst, in one step or in many, and says when there is one more', async () => {
    expect(await take({ want: 4 })).toMatchObject({ granted: 4, waitMs: 0 });
    const rest = await take({ want: 9 });
    expect(rest.granted).toBe(6);
    // Six minutes each.
    expect(rest.waitMs).toBeGreaterThan(HOUR_MS / 10 - 60_000);
    expect(rest.waitMs).toBeLessThanOrEqual(HOUR_MS / 10);
    expect(rest.debtMs).toBeCloseTo(HOUR_MS, -5);
    expect(await take({})).toMatchObject({ granted: 0 });
  });

  test('counts by a name that holds the limit and no word of who it is, and keeps it until it says nothing', async () => {
    await take({ key: 'secret-token', want: 5 });
    const name = await nameOfOnly();
    expect(name).toMatch(/^test:rl:\{[\w-]{22}\}:10\/3600000\/10$/);
    const ttl = Number((await redis.command(`PTTL ${name}`)).slice(1));
    expect(ttl).toBeGreaterThan(HOUR_MS / 2 - 60_000);
    expect(ttl).toBeLessThanOrEqual(HOUR_MS / 2);
    // A limit that has changed begins anew.
    expect(await take({ key: 'secret-token', rate: 11, want: 10 })).toMatchObject({ granted: 10 });
  });

  test('locks nobody out for longer than a burst takes, whatever was kept', async () => {
    await take({});
    const name = await nameOfOnly();
    // The clock was set back by a day.
    await redis.command(`SET ${name} ${(Date.now() + 86_400_000) * 1000}`);
    const { granted, waitMs, debtMs } = await take({});
    expect([granted, Math.round(debtMs / 1000)]).toEqual([0, HOUR_MS / 1000]);
    expect(waitMs).toBeLessThanOrEqual(HOUR_MS / 10);
  });

  test('begins where an instance knows a client to be, if that is further, and remembers it', async () => {
    expect(await take({ want: 10, debtMs: HOUR_MS / 2 })).toMatchObject({ granted: 5 });
    await redis.command('FLUSHALL');
    expect(await take({ debtMs: HOUR_MS })).toMatchObject({ granted: 0 });
    expect(await take({})).toMatchObject({ granted: 0 });
    await redis.command('FLUSHALL');
    expect(await take({ want: 10, debtMs: 99 * HOUR_MS })).toMatchObject({ granted: 0 });
  });

  test('says whose a session is, and gives it to another one only in the place of that one', async () => {
    expect([await claim(''), await claim('http://a'), await claim('http://b')]).toEqual([
      '',
      'http://a',
      'http://a',
    ]);
    expect([await claim('http://b', 'http://c'), await claim('http://b', 'http://a')]).toEqual([
      'http://a',
      'http://b',
    ]);
    const name = await nameOfOnly();
    expect(name).toMatch(/^test:st:\{[\w-]{22}\}$/);
    const ttl = Number((await redis.command(`PTTL ${name}`)).slice(1));
    expect(ttl).toBeGreaterThan(HOUR_MS - 60_000);
    expect(ttl).toBeLessThanOrEqual(HOUR_MS);
    expect([await claim('http://c', '*'), await claim('', '*'), await claim('')]).toEqual([
      'http://c',
      '',
      '',
    ]);
  });

  test('keeps for a while what nobody has had, and what is asked for again as long as all else', async () => {
    expect(await claim('http://a', '', 60_000)).toBe('http://a');
    expect(await leftMsOfOnly()).toBeLessThanOrEqual(60_000);
    expect(await claim('http://b', '', 60_000)).toBe('http://a');
    expect(await leftMsOfOnly()).toBeGreaterThan(HOUR_MS - 60_000);
  });

  test('is sent again to a server that does not know it', async () => {
    await take({ want: 3 });
    await redis.command('SCRIPT FLUSH');
    expect(await take({ want: 9 })).toMatchObject({ granted: 7 });
  });

  test('may be run by a user who may do no more than the manual says, over TLS', async () => {
    const folder = temporaryFolder('redis-tls');
    const authority = new Authority();
    const { cert, key } = authority.sign('redis.test');
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const port = await freePort();
    const own = { redis, store };
    afterTest(() => {
      redis = own.redis;
      store = own.store;
    });
    redis = await startRedis([
      `--tls-port ${port}`,
      `--tls-cert-file ${certFile}`,
      `--tls-key-file ${keyFile}`,
      `--tls-ca-cert-file ${authority.file}`,
      '--tls-auth-clients no',
    ]);
    const manual = readFileSync('docs/operations.md', 'utf8');
    const rules = /`(\+hello [^`]*)`/.exec(manual)?.[1] ?? '';
    const acl = `ACL SETUSER fairlead on >secret ${rules.replace('~fairlead:*', '~test:*')}`;
    expect(await redis.command(acl)).toBe('+OK\r\n');
    const ca = readFileSync(authority.file, 'utf8');
    store = await connect({
      url: `rediss://127.0.0.1:${port}`,
      username: 'fairlead',
      password: 'secret',
      tls: { ca, servername: 'redis.test' },
    });
    expect(await take({ want: 3 })).toMatchObject({ granted: 3 });
    expect([await claim('http://a'), await claim('', 'http://a')]).toEqual(['http://a', '']);
  });
});
