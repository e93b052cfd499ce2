/** Secrets that instances share, on a store in memory: made by one of them, opened by all. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { FollowedCopy } from '../../../src/control/cluster/followed-store.ts';
import type { RegistryStore } from '../../../src/control/cluster/registry-store.ts';
import { Seal } from '../../../src/control/cluster/sealed.ts';
import {
  beginRotation,
  COOKIES_ROTATION_MS,
  SharedSecrets,
} from '../../../src/control/cluster/shared-secrets.ts';
import { TICKET_KEYS_ROTATION_MS } from '../../../src/control/ticket-keys.ts';
import { KEYS, objectsIn, storeWith } from './made.ts';

const KEY = randomBytes(32).toString('hex');
const COOKIE_MS = 3_600_000;
const NEXT_KEY = randomBytes(32).toString('hex');

async function copyOf(store: RegistryStore): Promise<FollowedCopy> {
  const objects = await objectsIn(store);
  return { epoch: objects.get(KEYS.epoch)?.value ?? '', revision: 1, objects };
}

function instanceWith(store: RegistryStore, keyText: string, now = () => 1_000) {
  const tickets: string[] = [];
  const others = { runOn: Number.POSITIVE_INFINITY };
  const secrets = new SharedSecrets({
    store,
    keys: KEYS,
    seal: Seal.of(keyText),
    instance: 'a',
    now,
    onTicketKeys: (keys) => tickets.push(Buffer.from(keys).toString('hex')),
    isEverywhere: (revision) => revision <= others.runOn,
    longestCookieMs: () => COOKIE_MS,
  });
  /** A look at the store, what is due, and a look at what came of it. */
  const goOn = async (): Promise<void> => {
    const copy = await copyOf(store);
    secrets.take(copy);
    await secrets.maintain(copy);
    secrets.take(await copyOf(store));
  };
  return { secrets, tickets, others, goOn };
}

test('one makes them, the others have the same, and nobody can read them in the store', async () => {
  const store = await storeWith({});
  const [a, b] = [instanceWith(store, KEY), instanceWith(store, KEY)];
  const empty = await copyOf(store);
  await Promise.all([a.secrets.maintain(empty), b.secrets.maintain(empty)]);
  const copy = await copyOf(store);
  expect([a, b].map(({ secrets }) => secrets.take(copy))).toEqual([[], []]);
  expect(a.secrets.sessionSecret).toMatch(/^[\w-]{43}$/);
  expect(b.secrets.sessionSecret).toBe(a.secrets.sessionSecret);
  expect(a.tickets).toHaveLength(1);
  expect(a.tickets[0]).toHaveLength(96);
  expect(b.tickets).toEqual(a.tickets);
  const stored = JSON.stringify([...copy.objects]);
  expect(stored).not.toContain(a.secrets.sessionSecret);
  expect(stored).not.toContain(Buffer.from(a.tickets[0] ?? '', 'hex').toString('base64url'));
  // What is there is not made again, and nobody is told of the same twice.
  await a.secrets.maintain(copy);
  expect(await objectsIn(store)).toEqual(copy.objects);
  a.secrets.take(copy);
  expect(a.tickets).toHaveLength(1);
});

test('ticket keys are new when their time is over; the secret of cookies stays', async () => {
  const store = await storeWith({});
  let now = 1_000;
  const a = instanceWith(store, KEY, () => now);
  await a.goOn();
  const secret = a.secrets.sessionSecret;
  now += TICKET_KEYS_ROTATION_MS + 1;
  await a.goOn();
  expect(new Set(a.tickets).size).toBe(2);
  expect(a.secrets.sessionSecret).toBe(secret);
});

test.each(['asked for', 'old'])(
  'a secret of cookies that is %s gives way to one that all have, and is good until its last cookie is over',
  async (why) => {
    const store = await storeWith({});
    let now = 1_000;
    const [a, b] = [0, 1].map(() => instanceWith(store, KEY, () => now)) as [
      ReturnType<typeof instanceWith>,
      ReturnType<typeof instanceWith>,
    ];
    await a.goOn();
    await b.goOn();
    const before = a.secrets.sessionSecret ?? '';
    a.others.runOn = b.others.runOn = 0;
    if (why === 'old') now += COOKIES_ROTATION_MS + 1;
    else await beginRotation(store, KEYS, Seal.of(KEY));
    await a.goOn();
    await b.goOn();
    // Good already, and signed with by nobody.
    expect([a, b].map(({ secrets }) => secrets.sessionSecret)).toEqual([before, before]);
    const [next = ''] = a.secrets.otherSecrets;
    expect(next).toMatch(/^[\w-]{43}$/);
    expect(next).not.toBe(before);
    expect(b.secrets.otherSecrets).toEqual([next]);
    await expect(beginRotation(store, KEYS, Seal.of(KEY))).rejects.toThrow('already');

    b.others.runOn = Number.POSITIVE_INFINITY;
    await b.goOn();
    a.secrets.take(await copyOf(store));
    for (const { secrets } of [a, b]) {
      expect(secrets.sessionSecret).toBe(next);
      expect(secrets.otherSecrets).toEqual([before]);
    }
    now += COOKIE_MS;
    await a.goOn();
    expect(a.secrets.otherSecrets).toEqual([before]);
    now += 3_600_001;
    await a.goOn();
    expect(a.secrets.otherSecrets).toEqual([]);
    expect(a.secrets.sessionSecret).toBe(next);
  },
);

test('who never takes the next secret is not waited for longer than an hour', async () => {
  const store = await storeWith({});
  let now = Date.now();
  const a = instanceWith(store, KEY, () => now);
  await a.goOn();
  const before = a.secrets.sessionSecret;
  a.others.runOn = 0;
  await beginRotation(store, KEYS, Seal.of(KEY));
  await a.goOn();
  expect(a.secrets.sessionSecret).toBe(before);
  now += 3_700_000;
  await a.goOn();
  expect(a.secrets.sessionSecret).not.toBe(before);
});

test('whose clock is ahead waits for the others all the same', async () => {
  const store = await storeWith({});
  let now = Date.now();
  const a = instanceWith(store, KEY, () => now);
  await a.goOn();
  const before = a.secrets.sessionSecret;
  a.others.runOn = 0;
  await beginRotation(store, KEYS, Seal.of(KEY));
  now += 7_200_000;
  await a.goOn();
  await a.goOn();
  expect(a.secrets.sessionSecret).toBe(before);
});

test('with what was signed with before in a form that can’t be opened, what signs now stays good', async () => {
  const store = await storeWith({});
  const a = instanceWith(store, KEY);
  await a.goOn();
  const before = a.secrets.sessionSecret;
  const former = KEYS.secret('cookies-former');
  await store.commit({ conditions: [], writes: [{ put: former, value: '{}' }] });
  await beginRotation(store, KEYS, Seal.of(KEY));
  await a.goOn();
  expect(a.secrets.sessionSecret).toBe(before);
  await store.commit({ conditions: [], writes: [{ remove: former }] });
  await a.goOn();
  expect(a.secrets.sessionSecret).not.toBe(before);
  expect(a.secrets.otherSecrets).toEqual([before]);
});

test('there is nothing to rotate before an instance has made it', async () => {
  const store = await storeWith({});
  await expect(beginRotation(store, KEYS, Seal.of(KEY))).rejects.toThrow('nothing to rotate');
});

test('nothing is rotated under a key that is not that of the instances', async () => {
  const store = await storeWith({});
  const a = instanceWith(store, KEY);
  await a.goOn();
  const before = await objectsIn(store);
  for (const key of [NEXT_KEY, `${NEXT_KEY}\n${KEY}`]) {
    const refused = beginRotation(store, KEYS, Seal.of(key));
    await expect(refused).rejects.toThrow('this key is not that of the instances');
  }
  expect(await objectsIn(store)).toEqual(before);
  await beginRotation(store, KEYS, Seal.of(`${KEY}\n${NEXT_KEY}`));
});

test('with a new key before the old one, what is there is sealed anew, and stays what it is', async () => {
  const store = await storeWith({});
  const before = instanceWith(store, KEY);
  await before.secrets.maintain(await copyOf(store));
  before.secrets.take(await copyOf(store));
  const both = instanceWith(store, `${NEXT_KEY}\n${KEY}`);
  await both.secrets.maintain(await copyOf(store));
  const after = instanceWith(store, NEXT_KEY);
  expect(after.secrets.take(await copyOf(store))).toEqual([]);
  expect(after.secrets.sessionSecret).toBe(before.secrets.sessionSecret);
  expect(after.tickets).toEqual(before.tickets);
});

test('what can’t be opened is said, is not replaced, and what was known stays', async () => {
  const store = await storeWith({});
  const a = instanceWith(store, KEY);
  await a.secrets.maintain(await copyOf(store));
  a.secrets.take(await copyOf(store));
  const secret = a.secrets.sessionSecret;
  const copy = await copyOf(store);
  const stranger = instanceWith(store, NEXT_KEY);
  expect(stranger.secrets.take(copy).map(({ key }) => key)).toEqual([
    KEYS.secret('cookies'),
    KEYS.secret('tickets'),
  ]);
  await stranger.secrets.maintain(copy);
  expect(await objectsIn(store)).toEqual(copy.objects);
  await store.commit({ conditions: [], writes: [{ put: KEYS.secret('cookies'), value: '{}' }] });
  expect(a.secrets.take(await copyOf(store))).toHaveLength(1);
  expect(a.secrets.sessionSecret).toBe(secret);
});
