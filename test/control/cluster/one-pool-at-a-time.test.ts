/**
 * Of what a store says, an instance works out only what is about the pools that have changed. Whatever has changed, and in whichever order, it
 * must run on what one does that begins with the whole.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NOTHING_SHARED, type SharedConfig } from '../../../src/config/shared-config.ts';
import { type Accepted, accept } from '../../../src/control/cluster/accepted-objects.ts';
import type { RegistryStore, Write } from '../../../src/control/cluster/registry-store.ts';
import { valueOf } from '../../../src/control/cluster/shared-objects.ts';
import { type MadeState, stateOf } from '../../../src/control/cluster/shared-state.ts';
import { decideEligibility } from '../../../src/control/eligibility.ts';
import { Registry } from '../../../src/control/registry.ts';
import { LOCAL_IDS } from '../../../src/control/state/kept-changes.ts';
import { NO_OPERATOR_STATE } from '../../../src/control/state/operator-state.ts';
import { KEYS, loadFile, objectsIn, storeWith } from './made.ts';

const SHOP = {
  pools: { web: { backends: ['http://a', 'http://b'] }, api: { backends: ['http://a'] } },
  routes: [
    { path: '/api/', pool: 'api' },
    { path: '/', pool: 'web' },
  ],
};
/** Read once: it is what costs most. */
const OWN = loadFile({}, NOTHING_SHARED);
const load = (shared: SharedConfig) => OWN.withShared?.(shared, []) ?? OWN;
const POOLS = ['web', 'api', 'gone'] as const;
const URLS = ['http://a', 'http://b', 'http://c'] as const;

/** What it does with what it has read: see `ClusterInstance.take`. */
class Instance {
  readonly registry = new Registry({
    settings: OWN.settings,
    threadCount: 1,
    operatorState: { ...NO_OPERATOR_STATE, nextId: LOCAL_IDS },
    now: () => 0,
  });
  #accepted: Accepted | undefined;
  #made: MadeState | undefined;

  async take(store: RegistryStore): Promise<void> {
    const { registry } = this;
    const before = this.#accepted;
    const accepted = accept(await objectsIn(store), before, KEYS, load);
    if (accepted === undefined) throw new Error('nothing was accepted');
    this.#accepted = accepted;
    let { settings } = registry;
    if (accepted.loaded !== before?.loaded) {
      const { pools, routes, routedPools, defaultForm } = accepted.loaded.settings;
      settings = { ...settings, pools, routes, routedPools, defaultForm };
    }
    this.#made = stateOf(accepted.wishes, accepted.document, settings, this.#made);
    registry.applyShared({ settings, state: this.#made.state, revision: 1 });
  }

  get shown(): object {
    return this.registry.pools().map(({ name, strategy, settings, live }) => ({
      name,
      strategy,
      backends: live.all().map(({ id, address, weight, adminState, isBackup, source }) => {
        return { id, url: address.url, weight, adminState, isBackup, source };
      }),
      listed: settings.backends.map(({ url, weight }) => `${url} ${weight}`),
    }));
  }
}

/** Of those that were added: the guards of the store leave each URL one. */
function idOf(url: string): number {
  return 7 + URLS.findIndex((one) => one === url);
}

const pool = fc.constantFrom(...POOLS);
const url = fc.constantFrom(...URLS);
const weight = fc.integer({ min: 0, max: 3 });

/** Objects as instances and imports write and remove them. */
const write: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ pool, url, weight }).map((one) => ({
    put: KEYS.control(one.pool, one.url),
    value: valueOf({ url: one.url, weight: one.weight }),
  })),
  fc.record({ pool, url, state: fc.constantFrom('draining', 'disabled') }).map((one) => ({
    put: KEYS.control(one.pool, one.url),
    value: valueOf({ url: one.url, state: one.state }),
  })),
  fc.record({ pool, url }).map((one) => ({ remove: KEYS.control(one.pool, one.url) })),
  fc.record({ pool, url, weight }).map((one) => {
    const object = { url: one.url, weight: one.weight, backup: false, source: 'api' };
    return { put: KEYS.backend(one.pool, idOf(one.url)), value: valueOf(object) };
  }),
  fc.record({ pool, url }).map((one) => ({ remove: KEYS.backend(one.pool, idOf(one.url)) })),
  fc.record({ pool, strategy: fc.constantFrom('random-two', 'ip-hash') }).map((one) => ({
    put: KEYS.poolControl(one.pool),
    value: valueOf({ strategy: one.strategy }),
  })),
  pool.map((name) => ({ remove: KEYS.poolControl(name) })),
  // Of the document, and not valid: those go the whole way.
  weight.map((is) => ({
    put: KEYS.backend('web', 0),
    value: valueOf({ url: 'http://a', weight: is + 1, backup: false, source: 'config' }),
  })),
  fc.constant({ put: KEYS.control('api', 'http://b'), value: '{"v":1,"weight":"much"}' }),
);

type Step =
  | { readonly kind: 'take' }
  | { readonly kind: 'write'; readonly write: Write }
  /** A change that is written here, and that another instance takes back. */
  | { readonly kind: 'own'; readonly to: number; readonly isTakenBack: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant({ kind: 'take' } as const),
  write.map((one) => ({ kind: 'write', write: one }) as const),
  fc.record({ kind: fc.constant('own' as const), to: weight, isTakenBack: fc.boolean() }),
);

async function make(one: Step, store: RegistryStore, instance: Instance): Promise<void> {
  const put = (...writes: Write[]) => store.commit({ conditions: [], writes });
  if (one.kind === 'write') await put(one.write);
  if (one.kind === 'take') await instance.take(store);
  if (one.kind !== 'own') return;
  await instance.take(store);
  const web = instance.registry.pool('web');
  const known = web?.findByUrl('http://a');
  if (web === undefined || known === undefined) return;
  const key = KEYS.control('web', 'http://a');
  const before = (await objectsIn(store)).get(key);
  await put({ put: key, value: valueOf({ url: 'http://a', weight: one.to }) });
  web.planUpdate(known.id, { weight: one.to, state: 'enabled' }).commit();
  if (!one.isTakenBack) return;
  await put(before === undefined ? { remove: key } : { put: key, value: before.value });
}

test('what changes of some pools leads to is what the whole leads to', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const store = await storeWith(SHOP);
      const instance = new Instance();
      await instance.take(store);
      for (const one of steps) await make(one, store, instance);
      // What is not valid is run on as it was before, which one that begins now has not seen.
      await store.commit({
        conditions: [],
        writes: [{ put: KEYS.control('api', 'http://b'), value: valueOf({ url: 'http://b' }) }],
      });
      await instance.take(store);
      const whole = new Instance();
      await whole.take(store);
      expect(instance.shown).toEqual(whole.shown);
      for (const its of instance.registry.pools()) {
        const { eligibility } = decideEligibility(its.backends(), its.settings, 0);
        expect(its.eligibility()).toEqual(eligibility);
      }
    }),
    { numRuns: 40 },
  );
});
