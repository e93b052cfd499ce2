/** Authorities that lie, break or let others wait: what comes of an order then, when it is tried again, and that it holds up no other name. */
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import type { AcmeSettings } from '../../../src/config/acme-settings.ts';
import { CERTIFICATES, FAILURE, FAILURES } from '../../../src/control/acme/acme-records.ts';
import { AcmeVault } from '../../../src/control/acme/acme-vault.ts';
import { IssuanceRound } from '../../../src/control/acme/issuance-round.ts';
import { RenewalPlans } from '../../../src/control/acme/renewal-plans.ts';
import { renewalTime } from '../../../src/control/acme/renewal-time.ts';
import { inTurn, type Wanted, wantedOf } from '../../../src/control/acme/wanted.ts';
import { StoreTable } from '../../../src/control/cluster/store-table.ts';
import { TableStore } from '../../../src/control/cluster/table-store.ts';
import { recordLog } from '../fixtures.ts';
import { type Answer, FakeAuthority, type Request } from './fake-authority.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const YEAR = { 'Retry-After': '31536000' };

function settingsFor({ directoryUrl, caFile }: FakeAuthority): AcmeSettings {
  return {
    names: [],
    email: '',
    directoryUrl,
    caFile,
    challenge: 'http-01',
    dnsHook: null,
    externalAccount: null,
    onDemand: null,
    store: null,
  };
}

/** With a clock of its own, which goes on where somebody waits. */
async function roundAt(authority: FakeAuthority) {
  const store = new TableStore(new StoreTable());
  const vault = await AcmeVault.open({ key: '', keyFile: '' });
  const log = recordLog();
  const pauses: number[] = [];
  const clock = { nowMs: Date.now() };
  const counts = { issued: 0, failed: 0 };
  const { signal } = new AbortController();
  const round = new IssuanceRound({
    opened: { store, spreadMs: 0, close: async () => {} },
    vault,
    log,
    counts,
    plans: new RenewalPlans({ log, signal, nowMs: Date.now, random: () => 0 }),
    holder: 'one',
    signal,
    random: () => 0,
    nowMs: () => clock.nowMs,
    pause: async (ms: number) => {
      pauses.push(ms);
      clock.nowMs += ms;
    },
    inForce: async () => {},
    leftOvers: () => [],
    allowed: async () => {},
    onOrdering: () => {},
  });
  const settings = settingsFor(authority);
  const failureOf = async ({ id }: Wanted) => {
    const { object } = await store.read(FAILURES + id);
    return object && vault.read(object, FAILURE);
  };
  const hasCertificate = async ({ id }: Wanted): Promise<boolean> =>
    (await store.read(CERTIFICATES + id)).object !== undefined;
  return {
    round,
    log,
    counts,
    clock,
    pauses,
    wanted: (name: string) => wantedOf(settings, name),
    failureOf,
    hasCertificate,
  };
}

type Lie = (request: Request, authority: FakeAuthority) => Answer | undefined;

/** To one question, for the bad name. */
function at(what: string, answer: (request: Request, authority: FakeAuthority) => Answer): Lie {
  return (request, authority) => (request.what === what ? answer(request, authority) : undefined);
}

function pem(make: (authority: FakeAuthority, key: NonNullable<Request['publicKey']>) => string) {
  return at('certificate', ({ publicKey }, authority) => {
    if (publicKey === undefined) throw new Error('no key');
    return { body: make(authority, publicKey) };
  });
}

const OTHER = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;

test.each<[string, Lie, RegExp, number]>([
  [
    'signs another name',
    pem((authority, key) => authority.certificateFor('other.test', key)),
    /does not have it among its names/,
    1,
  ],
  [
    'signs another key',
    pem((authority) => authority.certificateFor('bad.test', OTHER)),
    /is for another key/,
    1,
  ],
  [
    'signs what has ended',
    pem((authority, key) =>
      authority.certificateFor('bad.test', key, {
        fromMs: Date.now() - 2 * DAY_MS,
        toMs: Date.now() - DAY_MS,
      }),
    ),
    /has ended, at .*: is the clock of this machine right\?/,
    1,
  ],
  [
    'sends a chain of a hundred',
    pem((authority, key) => authority.certificateFor('bad.test', key).repeat(100)),
    /has a chain of 100, and 10 are read/,
    1,
  ],
  ['sends no certificate', pem(() => 'hello'), /is no certificate/, 1],
  [
    'answers without an end',
    at('certificate', () => ({ body: 'x'.repeat(2 * 1024 * 1024) })),
    /answers more than 1 MiB/,
    1,
  ],
  [
    'answers with a page',
    at('state', () => ({ body: '<html>' })),
    /says what ACME does not know/,
    1,
  ],
  [
    'names no place for the order',
    at('order', () => ({ status: 201, body: '{}' })),
    /does not say where the order is/,
    1,
  ],
  [
    'leads elsewhere',
    at('state', () => ({ status: 302, headers: { Location: 'https://localhost:1/' } })),
    /answers 302/,
    1,
  ],
  [
    'names a place that is not https',
    at('order', () => ({ status: 201, headers: { Location: 'http://127.0.0.1:1/o' }, body: '{}' })),
    /names a place that is not https/,
    1,
  ],
  [
    'likes no nonce',
    at('state', () => ({
      status: 400,
      body: JSON.stringify({ type: 'urn:ietf:params:acme:error:badNonce', detail: 'no' }),
    })),
    /^no$/,
    1,
  ],
  [
    'wants to be asked in a year',
    at('order', () => ({
      status: 429,
      headers: YEAR,
      body: JSON.stringify({ type: 'urn:ietf:params:acme:error:rateLimited', detail: 'later' }),
    })),
    /^later$/,
    7 * 24 * 60,
  ],
  [
    'never comes to an end, and says to come back in a year',
    at('state', () => ({
      headers: YEAR,
      body: JSON.stringify({
        status: 'processing',
        authorizations: ['https://localhost/a'],
        finalize: 'https://localhost/f',
      }),
    })),
    /nothing has come of it within 90 s/,
    1,
  ],
])(
  'one that %s is told of and tried again later, and the next name has its certificate',
  async (_what, lie, reason, minutes) => {
    const authority = await FakeAuthority.start();
    authority.instead = (request) =>
      request.name === 'bad.test' ? lie(request, authority) : undefined;
    const the = await roundAt(authority);
    const bad = the.wanted('bad.test');
    const good = the.wanted('good.test');
    const beganMs = the.clock.nowMs;
    for (let rounds = 0; !(await the.hasCertificate(good)); rounds++) {
      expect(rounds).toBeLessThan(2);
      const failure = await the.failureOf(bad);
      expect(
        await the.round.run(
          inTurn([
            { wanted: bad, failure, dueAtMs: 0 },
            { wanted: good, failure: undefined, dueAtMs: 0 },
          ]),
        ),
      ).toBe(true);
    }
    expect(await the.hasCertificate(bad)).toBe(false);
    const failure = await the.failureOf(bad);
    expect(failure?.message).toMatch(reason);
    expect(((failure?.retryAtMs ?? 0) - (failure?.atMs ?? 0)) / MINUTE_MS).toBe(minutes);
    expect(the.counts).toEqual({ issued: 1, failed: 1 });
    expect(authority.orders).toEqual(['bad.test', 'good.test']);
    // Whatever it says of when to come back: nobody waits for it for longer than some minutes.
    expect(Math.max(0, ...the.pauses)).toBeLessThanOrEqual(10_000);
    expect(the.clock.nowMs - beganMs).toBeLessThan(2 * MINUTE_MS);
  },
);

test('what an authority signs wrongly is ordered anew as seldom as what it refuses', async () => {
  const authority = await FakeAuthority.start();
  const page = pem((ca) => ca.certificateFor('bad.test', OTHER));
  authority.instead = (request) => page(request, authority);
  const the = await roundAt(authority);
  const bad = the.wanted('bad.test');
  const waits: number[] = [];
  for (let round = 0; round < 5; round++) {
    await the.round.run([bad]);
    const { atMs = 0, retryAtMs = 0 } = (await the.failureOf(bad)) ?? {};
    waits.push((retryAtMs - atMs) / MINUTE_MS);
    the.clock.nowMs = retryAtMs;
  }
  // Where nobody could be asked, ten minutes are the longest.
  expect(waits).toEqual([1, 2, 4, 8, 16]);
  expect(authority.orders).toHaveLength(5);
});

test('a round of many that take long ends, and begins anew with what has not failed', async () => {
  const authority = await FakeAuthority.start();
  const stuck = at('state', () => ({
    headers: YEAR,
    body: JSON.stringify({
      status: 'processing',
      authorizations: ['https://localhost/a'],
      finalize: 'https://localhost/f',
    }),
  }));
  authority.instead = (request) =>
    request.name.startsWith('stuck') ? stuck(request, authority) : undefined;
  const the = await roundAt(authority);
  const names = [...Array.from({ length: 20 }, (_, n) => `stuck-${n}.test`), 'good.test'];
  const all = names.map((name) => the.wanted(name));
  const failures = async () =>
    Promise.all(
      all.map(async (wanted) => {
        const failure = await the.failureOf(wanted);
        return { wanted, failure, dueAtMs: failure?.retryAtMs ?? 0 };
      }),
    );
  const [first] = all;
  expect(await the.round.run(inTurn(await failures()))).toBe(true);
  // One has taken a minute and a half: nobody else waits in a list of before.
  expect(authority.orders).toEqual(['stuck-0.test']);
  expect(inTurn(await failures()).at(-1)).toBe(first);
  expect(inTurn(await failures())[0]?.name).toBe('stuck-1.test');
  // Those that were due before keep their turn.
  expect(inTurn(await failures()).at(-2)?.name).toBe('good.test');
});

test('a certificate is not renewed as soon as it is there, whatever the authority says', () => {
  const of = { notBeforeMs: 0, notAfterMs: 90 * DAY_MS, fingerprint: 'a' };
  const past = { startMs: -2 * DAY_MS, endMs: -DAY_MS };
  expect(renewalTime(of, past)).toBe(120 * MINUTE_MS);
  // One that lives for minutes.
  expect(renewalTime({ ...of, notAfterMs: 30 * MINUTE_MS }, past)).toBe(10 * MINUTE_MS);
});
