/**
 * This process as one of several that run on what the store holds. What comes from it takes the way of a reloaded config; what operators
 * change goes to it first. Without it, what was known last is run on, for ever, and said to be old.
 */
import type { ClusterSettings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import type { DrainTerms } from '../change-terms.ts';
import {
  type ClusterFigures,
  type ClusterPort,
  type ClusterReadiness,
  type ClusterSurroundings,
  NotShared,
  type SharedChanges,
} from '../cluster-port.ts';
import { longestCookieMs } from '../session-token.ts';
import { type Accepted, accept, type Refusal } from './accepted-objects.ts';
import { ChangeWriter } from './change-writer.ts';
import { askPeers, describeCluster, type PeersToAsk, showHealth } from './cluster-view.ts';
import { type FollowedCopy, type FollowedState, FollowedStore } from './followed-store.ts';
import { KeptCopy } from './kept-copy.ts';
import { Members } from './members.ts';
import { NextChange } from './next-change.ts';
import { isPeer } from './peer-proof.ts';
import { PeerVerdicts } from './peer-verdicts.ts';
import { RefusalLog } from './refusal-log.ts';
import type { RegistryStore } from './registry-store.ts';
import { RestedWork } from './rested-work.ts';
import { Seal } from './sealed.ts';
import { drainBegunElsewhere, removalsIn } from './shared-drains.ts';
import { valueIn } from './shared-objects.ts';
import { type PartTerms, SharedPart } from './shared-part.ts';
import { SharedSecrets, sealedIn } from './shared-secrets.ts';
import { type MadeState, stateOf } from './shared-state.ts';
import { inWords, tellState } from './state-words.ts';
import { StoreKeys } from './store-keys.ts';
import { SYSTEM_TIMING } from './timing.ts';
import { UnfinishedRemovals } from './unfinished-removals.ts';
import { waitForAll } from './wait-for-all.ts';

/** A start waits so long for the store. */
const FIRST_COPY_MS = 1_500;
const REACHED_MS = 1_000;
/** What a large change takes, if its writer lives (staged-commit.ts). */
const STAGED_MS = 5_000;
const MAINTENANCE_MS = 5_000;
/** Between changes. Those of an operator go at once; of a stream, what has come meanwhile is taken together. */
const RESTS = { times: 10, owedMs: 100, longestMs: 100 };

export interface ClusterInstanceOptions {
  readonly settings: ClusterSettings;
  readonly store: RegistryStore;
  readonly log: Logger;
  readonly version: string;
}

export class ClusterInstance implements ClusterPort, SharedChanges {
  readonly settings: ClusterSettings;
  readonly store: RegistryStore;
  readonly keys: StoreKeys;
  readonly members: Members;
  readonly #log: Logger;
  /** Undefined: there is no key to share them by. */
  readonly seal: Seal | undefined;
  readonly #secrets: SharedSecrets | undefined;
  readonly #kept: KeptCopy | undefined;
  readonly #writer: ChangeWriter;
  readonly #refusalLog: RefusalLog;
  #around: ClusterSurroundings | undefined;
  #followed: FollowedStore | undefined;
  /** From the disk. */
  #known: FollowedCopy | undefined;
  #state: FollowedState = 'connecting';
  #reason: string | undefined = 'the store has not answered yet';
  /** When it was last known to be current, in ms since the epoch. */
  #currentAt: number | undefined;
  #isFirstOver = false;
  #accepted: Accepted | undefined;
  #secretsRefused: readonly Refusal[] = [];
  #made: MadeState | undefined;
  #applied: FollowedCopy | undefined;
  /** Under a stream of changes, most of the time of this thread is for others, and of the data threads for requests. */
  readonly #takes = new RestedWork(RESTS, () => this.#takeNewest());
  #maintenance: NodeJS.Timeout | undefined;
  #verdicts: PeerVerdicts | undefined;
  readonly #parts = new Set<SharedPart>();
  /** Of a copy, or a state. */
  readonly #told = new NextChange();
  readonly #unfinished: UnfinishedRemovals;

  private constructor({ settings, store, log, version }: ClusterInstanceOptions) {
    this.settings = settings;
    this.store = store;
    this.#log = log;
    this.#refusalLog = new RefusalLog(log);
    const { name, instance, address, etcd, snapshotFile } = settings;
    this.keys = new StoreKeys(etcd.prefix, name);
    this.#kept =
      snapshotFile === undefined ? undefined : new KeptCopy(snapshotFile, this.keys.root, log);
    this.seal = settings.key === undefined ? undefined : Seal.of(settings.key);
    this.#secrets =
      this.seal &&
      new SharedSecrets({
        store,
        keys: this.keys,
        seal: this.seal,
        instance,
        onTicketKeys: (bytes) => this.#around?.ticketKeysAre(bytes),
        isEverywhere: (revision) => this.members.allRunOn(revision),
        longestCookieMs: () => longestCookieMs(this.#around?.registry.settings.pools ?? []),
      });
    this.members = new Members({
      store,
      keys: this.keys,
      timing: SYSTEM_TIMING,
      self: { instance, address, version },
      onCount: (count) => this.#around?.instancesAre(count),
      onRival: (message) => log.error('cluster.same_name', message, { instance }),
    });
    this.#writer = new ChangeWriter({ store, keys: this.keys, instance });
    this.#unfinished = new UnfinishedRemovals({
      timing: SYSTEM_TIMING,
      now: Date.now,
      finish: async (pool, url) => this.#around?.finishRemoval(pool, url),
    });
  }

  /** Begins to follow the store. */
  static async open(options: ClusterInstanceOptions): Promise<ClusterInstance> {
    const instance = new ClusterInstance(options);
    const found = await instance.#kept?.load();
    instance.#known = found?.copy;
    instance.#currentAt = found?.savedAt;
    instance.#follow();
    return instance;
  }

  get changes(): SharedChanges {
    return this;
  }

  get readiness(): ClusterReadiness {
    const isRunning = this.#accepted !== undefined;
    const { whyNot } = this;
    const why = whyNot ?? 'What is stored is not valid.';
    return {
      notReady: isRunning ? undefined : `Nothing is known of what the cluster runs on. ${why}`,
      degraded:
        isRunning && whyNot !== undefined
          ? `The configuration may be old. ${whyNot}`
          : this.members.rivalry,
    };
  }

  get figures(): ClusterFigures {
    return {
      state: this.#state,
      revision: this.#revision,
      configAgeSeconds: this.#ageSeconds,
      members: this.members.known.length,
      refusedObjects: this.#refusals.length,
    };
  }

  get nextId(): number {
    return this.#writer.nextId;
  }

  async begin(around: ClusterSurroundings): Promise<void> {
    this.#around = around;
    this.members.begin();
    await this.#firstCopy();
    this.#isFirstOver = true;
    if (this.#state !== 'current' && this.#known !== undefined) {
      const message = `the store can't be reached yet (${this.#reason}): running on what was known last`;
      this.#log.warn('cluster.from_disk', message, { file: this.settings.snapshotFile });
    } else if (this.#state !== 'current') {
      const message = `the store can't be used (${this.#reason}), and nothing is known from before: trying on, and not ready`;
      this.#log.error('cluster.nothing_known', message);
    }
    // Not soon: what is under way may have begun before there was anything.
    await this.#takeNow(around);
    this.#verdicts = new PeerVerdicts({
      timing: SYSTEM_TIMING,
      compare: () => askPeers(this.#asking, this.members.known),
      checkNow: (pool, url) => around.checkNow(pool, url),
    });
    this.#maintenance = setInterval(() => this.#maintainSecrets(), MAINTENANCE_MS);
    this.#maintenance.unref();
  }

  /** Runs on the newest copy. False: nothing is different. */
  take(): boolean {
    const around = this.#around;
    const before = this.#accepted;
    const newest = this.#copy;
    // A change is on its way: what was there before is run on until all of it is there.
    const isWhole = newest?.objects.has(this.keys.staged) !== true;
    const copy = isWhole || before !== undefined ? newest : this.#known;
    if (around === undefined || copy === undefined || !this.#writer.isUpTo(copy)) return false;
    if (!isWhole && before !== undefined) return false;
    const accepted = accept(copy.objects, before, this.keys, around.load);
    if (accepted === undefined) return false;
    this.#accepted = accepted;
    this.#applied = copy;
    this.#writer.base = copy;
    this.#secretsRefused = this.#secrets?.take(copy) ?? sealedIn(copy.objects, this.keys);
    this.#refusalLog.tell(this.#refusals);
    this.#unfinished.sync(removalsIn(accepted.wishes));
    const { registry } = around;
    let { settings } = registry;
    if (accepted.loaded !== before?.loaded) {
      around.taken(accepted.document.config, accepted.loaded);
      const { pools, routes, routedPools, defaultForm } = accepted.loaded.settings;
      settings = { ...settings, pools, routes, routedPools, defaultForm };
    }
    this.#made = stateOf(accepted.wishes, accepted.document, settings, this.#made);
    const state = {
      ...this.#made.state,
      sessionSecret: this.#secrets?.sessionSecret,
      otherSecrets: this.#secrets?.otherSecrets ?? [],
    };
    const isChanged = registry.applyShared({ settings, state, revision: this.#revision });
    this.#kept?.save({ ...copy, objects: accepted.objects });
    return isChanged;
  }

  write(...[before, next, terms]: Parameters<SharedChanges['write']>): Promise<number | undefined> {
    return this.#writer.write(before, next, terms, this.whyNot, (at) => this.#reached(at));
  }

  drainOf(pool: string, url: string): DrainTerms | undefined {
    const { instance: self } = this.settings;
    const { objects } = this.#accepted ?? {};
    const begun = this.#writer.drainsBegun;
    return objects && drainBegunElsewhere(objects, this.keys, { pool, url, self }, begun);
  }

  appliedByAll(revision: number): Promise<void> {
    return waitForAll(this.members, this.settings.instance, revision);
  }

  findWrite(id: string): { readonly revision: number } | undefined {
    for (const object of this.#copy?.objects.values() ?? []) {
      if (valueIn(object, 'write') === id) return { revision: object.revision };
    }
    return undefined;
  }

  ownHealth(): object {
    return showHealth(this.settings, this.#around?.registry);
  }

  isPeer(authorization: string | undefined): boolean {
    return isPeer(this.seal, this.settings, authorization);
  }

  describe(): Promise<object> {
    return describeCluster({
      ...this.#asking,
      members: this.members,
      facts: {
        state: this.#state,
        reason: this.#reason ?? null,
        epoch: this.#applied?.epoch ?? null,
        found_epoch: this.#followed?.foundEpoch ?? null,
        revision: this.#revision,
        config_age_seconds: Math.round(this.#ageSeconds * 10) / 10,
        refused: this.#refusals,
      },
    });
  }

  part(terms: PartTerms): SharedPart {
    const { settings, store, keys, seal } = this;
    const place = () => ({ epoch: this.#applied?.epoch, whyNot: this.whyNot });
    const part = new SharedPart({ ...terms, settings, store, keys, seal, log: this.#log, place });
    this.#parts.add(part);
    return part;
  }

  async makeWay(): Promise<void> {
    this.members.hold();
    await Promise.all([this.#kept, ...this.#parts].map((one) => one?.hold()));
  }

  goOn(): void {
    this.members.goOn();
    for (const one of [this.#kept, ...this.#parts]) one?.goOn();
  }

  async close(): Promise<void> {
    clearInterval(this.#maintenance);
    this.#verdicts?.close();
    this.#unfinished.close();
    this.#followed?.close();
    await this.members.close();
    await this.#kept?.close();
    await this.store.close();
  }

  /** Why a change can't be written now; undefined: it can be tried. */
  get whyNot(): string | undefined {
    if (this.#state === 'current') return undefined;
    return `The store that the instances share ${inWords(this.#state)}: ${this.#reason}.`;
  }

  get #asking(): PeersToAsk {
    const { registry, token } = this.#around ?? {};
    return { settings: this.settings, registry, seal: this.seal, token: token?.() };
  }

  get #copy(): FollowedCopy | undefined {
    if (this.#state === 'current' || this.#applied !== undefined) return this.#followed?.copy;
    return this.#isFirstOver ? (this.#followed?.copy ?? this.#known) : undefined;
  }

  get #revision(): number {
    return this.#applied?.objects.get(this.keys.head)?.revision ?? 0;
  }

  get #refusals(): readonly Refusal[] {
    return [...(this.#accepted?.refusals ?? []), ...this.#secretsRefused];
  }

  get #ageSeconds(): number {
    if (this.#state === 'current') return 0;
    return this.#currentAt === undefined ? 0 : (Date.now() - this.#currentAt) / 1000;
  }

  #follow(): void {
    this.#followed = new FollowedStore({
      store: this.store,
      prefix: this.keys.cfg,
      headKey: this.keys.head,
      epochKey: this.keys.epoch,
      succeedsKey: this.keys.succeeds,
      ...(this.#known && { known: this.#known }),
      onCopy: () => {
        this.#told.tell();
        void this.#takes.soon();
      },
      onState: (state, reason) => this.#become(state, reason),
    });
  }

  #become(state: FollowedState, reason: string | undefined): void {
    if (this.#state === 'current') this.#currentAt = Date.now();
    this.#state = state;
    this.#reason = reason;
    if (reason !== undefined) for (const part of this.#parts) part.doubted(reason);
    this.#told.tell();
    const isNews = state === 'current' || state === 'held' || this.#isFirstOver;
    if (isNews) tellState(this.#log, state, reason);
    // What is on the disk may be what the store has: then no copy is told.
    if (state === 'current') void this.#takes.soon();
  }

  async #takeNewest(): Promise<void> {
    if (this.#around !== undefined) await this.#takeNow(this.#around);
  }

  /** What is known by now is run on when it resolves. Never rejects. */
  async #takeNow(around: ClusterSurroundings): Promise<void> {
    try {
      await around.sharedChanged();
      const { epoch } = this.#applied ?? {};
      if (epoch !== undefined) {
        this.members.runsOn(epoch, this.#revision, this.#refusals);
      }
      this.#maintainSecrets();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `what the store holds is not run on: ${reason}`;
      this.#log.error('cluster.not_applied', message, { error });
    }
  }

  /** Who can't write now does so later; who is not the only one has others that do. */
  #maintainSecrets(): void {
    const copy = this.#applied;
    if (this.#state !== 'current' || copy === undefined) return;
    void this.#secrets?.maintain(copy).catch(() => {});
  }

  #firstCopy(): Promise<void> {
    const isThere = () => this.#state === 'current' || this.#state === 'held';
    return this.#told.until(isThere, FIRST_COPY_MS);
  }

  /** Resolves when the copy has come so far, or after a while. */
  async #reached(revision: number): Promise<void> {
    const hasCome = () => (this.#followed?.copy?.revision ?? 0) >= revision;
    await this.#told.until(hasCome, REACHED_MS);
    // Until a large change is there as a whole, nothing is taken, and nothing can be written.
    const isWhole = () => this.#followed?.copy?.objects.has(this.keys.staged) !== true;
    await this.#told.until(isWhole, STAGED_MS);
    if (!isWhole()) throw new NotShared('busy', 'A change of many objects is under way.');
  }
}
