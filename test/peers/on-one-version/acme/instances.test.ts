/** Instances that share a store, and an authority that goes away, comes back without its memory, or is frozen. Each in this process. */
import { beforeAll, describe, expect, test } from 'vitest';
import { validateConfigText } from '../../../../src/config/load.ts';
import type { Settings } from '../../../../src/config/settings.ts';
import { Acme, type AcmeOptions } from '../../../../src/control/acme/acme.ts';
import { AcmeVault } from '../../../../src/control/acme/acme-vault.ts';
import type { Issued } from '../../../../src/control/certificates/tls-snapshot.ts';
import { StoreTable } from '../../../../src/control/cluster/store-table.ts';
import { TableStore } from '../../../../src/control/cluster/table-store.ts';
import { SYSTEM_TIMING, type Timing } from '../../../../src/control/cluster/timing.ts';
import type { Challenges } from '../../../../src/control/registry.ts';
import { afterTest } from '../../../support/after-test.ts';
import { type Pebble, startPebble } from '../../../support/pebble.ts';
import { hasTool } from '../../../support/tools.ts';
import { SOON_MS, waitFor, within } from '../../../support/wait-for.ts';

const LONG_MS = 30_000;
const FASTER = 60;
const ACCOUNTS = { 'key-1': 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W' };

let pebble: Pebble;

beforeAll(async () => {
  if (!hasTool('pebble') || !hasTool('pebble-challtestsrv')) return;
  pebble = await startPebble({
    validity: 10,
    externalAccounts: ACCOUNTS,
    env: { PEBBLE_VA_ALWAYS_VALID: '1', PEBBLE_WFE_NONCEREJECT: '30' },
  });
});

function settingsFor(...names: readonly string[]): Settings {
  const acme = {
    names,
    ca: pebble.directoryUrl,
    ca_file: pebble.caFile,
    challenge: 'tls-alpn-01',
    external_account: { key_id: 'key-1', key: ACCOUNTS['key-1'] },
  };
  const config = { backends: [], listeners: [{ port: 443, tls: { acme } }] };
  const input = { flags: { values: [] }, env: {}, cwd: '/', configFile: '/nowhere/c.json' };
  const result = validateConfigText(JSON.stringify(config), 'c.json', input);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.settings;
}

class Instance {
  readonly events: string[] = [];
  issued: Issued = new Map();
  challenges: Challenges = { http: new Map(), tls: [] };
  readonly acme: Acme;

  constructor(table: StoreTable, more: Partial<AcmeOptions> = {}) {
    const hear = (event: string): void => void this.events.push(event);
    this.acme = new Acme({
      log: { debug: hear, info: hear, warn: hear, error: hear, fatal: hear },
      holder: 'test',
      counts: { issued: 0, failed: 0 },
      asks: { allowed: 0, refused: 0, failed: 0, dropped: 0 },
      onIssued: (issued) => {
        this.issued = issued;
      },
      onChallenges: async (challenges) => {
        this.challenges = challenges;
      },
      home: {
        vault: () => AcmeVault.open({ key: '', keyFile: '' }),
        open: async () => {
          const store = new TableStore(table);
          return { store, spreadMs: 0, close: () => store.close() };
        },
        lookInto: async () => undefined,
        longestPauseMs: 1_000,
      },
      ...more,
    });
    afterTest(() => this.acme.stop());
  }

  async begin(settings: Settings): Promise<this> {
    await this.acme.begin(settings);
    this.acme.listening();
    return this;
  }

  get fingerprints(): string[] {
    return Array.from(this.issued.values(), ({ facts }) => facts.fingerprint);
  }

  async has(count: number): Promise<void> {
    await waitFor(() => this.issued.size === count, LONG_MS, `${count} certificates`);
  }

  async says(event: string): Promise<void> {
    await waitFor(() => this.events.includes(event), LONG_MS, event);
  }
}

const DAY_S = 24 * 3600;

/** A minute passes in a second. */
function fastTime(): { readonly timing: Timing; readonly nowMs: () => number } {
  const startMs = Date.now();
  return {
    timing: { ...SYSTEM_TIMING, after: (ms, run) => SYSTEM_TIMING.after(ms / FASTER, run) },
    nowMs: () => startMs + (Date.now() - startMs) * FASTER,
  };
}

function keysOf(table: StoreTable, prefix: string): string[] {
  return table.list(prefix).objects.map(({ key }) => key);
}

describe.skipIf(!hasTool('pebble') || !hasTool('pebble-challtestsrv'))('instances', () => {
  test('of two that share a store one orders, both serve, and so with the renewal', async () => {
    const table = new StoreTable();
    const before = pebble.orders;
    const settings = settingsFor('two.test');
    const all = [new Instance(table), new Instance(table)];
    await Promise.all(all.map((one) => one.begin(settings)));
    await Promise.all(all.map((one) => one.has(1)));
    const [first] = all.map(({ fingerprints }) => fingerprints.join());
    expect(all.map(({ fingerprints }) => fingerprints.join())).toEqual([first, first]);
    expect(pebble.orders - before).toBe(1);
    // It is good for ten seconds, and renewed after seven.
    const isRenewed = (): boolean => all.every(({ fingerprints }) => fingerprints.join() !== first);
    await waitFor(isRenewed, LONG_MS, 'the renewal');
    await Promise.all(all.map(({ acme }) => acme.stop()));
    expect(pebble.orders - before).toBe(2);
    expect(all.flatMap(({ events }) => events).toSorted()).toEqual([
      'certificate.account',
      'certificate.issued',
      'certificate.issued',
    ]);
    expect(keysOf(table, 'acme/challenge/')).toEqual([]);
  });

  test('stopped in the middle of an order: its account and its order go on after a start', async () => {
    const table = new StoreTable();
    const before = { orders: pebble.orders, accounts: pebble.accounts };
    const settings = settingsFor('stopped.test');
    // What it answers is never in force.
    const stuck = new Promise<void>(() => {});
    const first = await new Instance(table, { onChallenges: () => stuck }).begin(settings);
    await waitFor(() => keysOf(table, 'acme/challenge/').length === 1, LONG_MS, 'a challenge');
    await within(first.acme.stop(), SOON_MS, 'the end');
    await waitFor(() => keysOf(table, 'acme/lock').length === 0, LONG_MS, 'no lock');
    expect(keysOf(table, 'acme/challenge/')).toEqual([]);
    const second = await new Instance(table).begin(settings);
    await second.has(1);
    expect(pebble.orders - before.orders).toBe(1);
    expect(pebble.accounts - before.accounts).toBe(1);
    await second.acme.stop();
    expect([...first.events, ...second.events]).toEqual([
      'certificate.account',
      'certificate.issued',
    ]);
  });

  test('an authority that is away is asked again, and one that has lost its memory gets a new account', async () => {
    await pebble.kill();
    const table = new StoreTable();
    const instance = new Instance(table, fastTime());
    await instance.begin(settingsFor('away.test'));
    await instance.says('certificate.not_issued');
    const [state] = instance.acme.states();
    expect(state?.failure).toMatchObject({ failures: 1, kind: '' });
    expect(state?.failure?.message).toMatch(/ECONNREFUSED|connect/);
    // By a clock that is fast, one of ten seconds has ended when it comes.
    await pebble.start({ validity: DAY_S });
    await instance.has(1);
    await pebble.kill();
    await pebble.start({ validity: DAY_S });
    instance.acme.sync(settingsFor('away.test', 'another.test'));
    await instance.has(2);
    expect(instance.events.filter((event) => event === 'certificate.account')).toHaveLength(2);
    expect(keysOf(table, 'acme/account/')).toHaveLength(1);
  });

  test('a frozen authority does not hold up the end', async () => {
    const instance = new Instance(new StoreTable());
    pebble.signal('SIGSTOP');
    try {
      await instance.begin(settingsFor('frozen.test'));
      const isOrdering = (): boolean => instance.acme.states()[0]?.isOrdering === true;
      await waitFor(isOrdering, LONG_MS, 'an order');
      await within(instance.acme.stop(), SOON_MS, 'the end');
    } finally {
      pebble.signal('SIGCONT');
    }
    expect(instance.events).toEqual([]);
  });
});
