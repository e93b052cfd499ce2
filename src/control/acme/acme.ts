/**
 * Certificates that fetch and renew themselves (RFC 8555). Loaded only where a listener asks for it.
 *
 * What there is stands in a store, and is followed from there: certificates are served and challenges answered by every instance that
 * shares it, whichever of them has put them there. Something is fetched under a lock, which one instance has at a time, and only after it
 * has looked again whether it is still due. What has failed is kept as well, so that neither a restart nor another instance tries again
 * before its time.
 */
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import type { Settings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import type { Issued } from '../certificates/tls-snapshot.ts';
import type { RegistryStore, StoredObject } from '../cluster/registry-store.ts';
import { SYSTEM_TIMING, type Timing } from '../cluster/timing.ts';
import type { Challenges } from '../registry.ts';
import type { AcmeHome, OpenedStore } from './acme-home.ts';
import {
  CERTIFICATE,
  CERTIFICATES,
  FAILURE,
  FAILURES,
  type FailureRecord,
  LOCK_KEY,
  PREFIX,
} from './acme-records.ts';
import type { AcmeVault } from './acme-vault.ts';
import { allWanted, hasSame } from './all-wanted.ts';
import { ChallengeAnswers } from './challenge-answers.ts';
import { type AcmeCounts, IssuanceRound } from './issuance-round.ts';
import { issuedCertificate } from './issued-certificate.ts';
import { type LeftOver, leftOversOf } from './left-overs.ts';
import { type AskCounts, OnDemand } from './on-demand.ts';
import { RenewalPlans } from './renewal-plans.ts';
import { StoreCopy } from './store-copy.ts';
import { dueAtMs, inTurn, type Wanted, wantedBy } from './wanted.ts';

const LONGEST_SLEEP_MS = 3_600_000;
/** Another process may have the file: that one ends (an upgrade), or it does not. */
const OPEN_AGAIN_MS = 2_000;
/** Another instance is at it. */
const LOOK_AGAIN_MS = 15_000;
const FREE_AGAIN_MS = 2_000;

export interface AcmeOptions {
  readonly log: Logger;
  /** Who we are, for people who read of the lock. */
  readonly holder: string;
  readonly home: AcmeHome;
  readonly counts: AcmeCounts;
  readonly asks: AskCounts;
  readonly onIssued: (issued: Issued) => void;
  /** Resolves once they are answered. */
  readonly onChallenges: (challenges: Challenges) => Promise<void>;
  readonly timing?: Timing;
  /** Of the calendar. */
  readonly nowMs?: () => number;
}

/** What is known of one certificate. */
export interface AcmeState {
  readonly wanted: Wanted;
  readonly certificate: Certificate | undefined;
  readonly failure: FailureRecord | undefined;
  readonly isOrdering: boolean;
  readonly renewAtMs: number | undefined;
  readonly dueAtMs: number;
  readonly explanation: string;
}

export class Acme {
  readonly #options: AcmeOptions;
  readonly #timing: Timing;
  readonly #nowMs: () => number;
  readonly #stopping = new AbortController();
  readonly #plans: RenewalPlans;
  readonly onDemand: OnDemand;
  #listed: readonly Wanted[] = [];
  /** With those on demand. */
  #wanted: readonly Wanted[] = [];
  #opened: OpenedStore | undefined;
  #vault: AcmeVault | undefined;
  #copy: StoreCopy | undefined;
  #round: IssuanceRound | undefined;
  #served = new Map<Wanted, Certificate>();
  readonly #read = new Map<
    string,
    { readonly revision: number; readonly value: Certificate | FailureRecord | null }
  >();
  readonly #answers: ChallengeAnswers;
  readonly #pauses = new Set<() => void>();
  #callOff: () => void = () => {};
  #isWorking: Promise<void> | undefined;
  /** By `Wanted.id`. */
  #ordering: string | undefined;
  #isListening = false;

  constructor(options: AcmeOptions) {
    const { log, asks: counts, timing = SYSTEM_TIMING, nowMs = Date.now } = options;
    const { signal } = this.#stopping;
    this.#options = options;
    this.#timing = timing;
    this.#nowMs = nowMs;
    this.#plans = new RenewalPlans({
      log,
      signal,
      nowMs,
      random: () => timing.random(),
    });
    this.#answers = new ChallengeAnswers(options.onChallenges);
    const pause = (ms: number): Promise<void> => this.#pause(ms);
    const onAllowed = (): void => this.#take();
    this.onDemand = new OnDemand({ log, counts, signal, nowMs, pause, onAllowed });
  }

  /** Resolves when what is kept is known, or can't be. Never rejects. */
  async begin(settings: Settings): Promise<void> {
    this.#listed = wantedBy(settings);
    this.#wanted = this.#listed;
    this.onDemand.sync(settings);
    await this.#open();
  }

  /** Clients can connect: from now on an authority can ask us something. */
  listening(): void {
    this.#isListening = true;
    this.#plan();
  }

  /** The settings may have become others; never where the store is. */
  sync(settings: Settings): void {
    this.#listed = wantedBy(settings);
    this.onDemand.sync(settings);
    this.#take();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#callOff();
    for (const wake of this.#pauses) wake();
    await this.#isWorking;
    this.#copy?.close();
    await this.#opened?.close();
  }

  states(): AcmeState[] {
    return this.#wanted.map((wanted) => {
      const certificate = this.#certificateOf(wanted);
      const renewAtMs = certificate && this.#plans.renewAtMs(wanted, certificate);
      const failure = this.#failureOf(wanted);
      return {
        wanted,
        certificate,
        failure,
        isOrdering: this.#ordering === wanted.id,
        renewAtMs,
        dueAtMs: dueAtMs(wanted, renewAtMs, failure, this.#nowMs()),
        explanation: this.#plans.explanationOf(wanted),
      };
    });
  }

  // ── The store ───────────────────────────────────────────────────────────────────────────────────────────────────

  async #open(failures = 0): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const { home, log } = this.#options;
    try {
      this.#vault ??= await home.vault();
      const opened = await home.open();
      if (this.#stopping.signal.aborted) {
        await opened.close();
        return;
      }
      this.#opened = opened;
      await this.#follow(opened.store);
      this.#round = new IssuanceRound({
        opened,
        vault: this.#vault,
        plans: this.#plans,
        log,
        holder: this.#options.holder,
        counts: this.#options.counts,
        signal: this.#stopping.signal,
        random: () => this.#timing.random(),
        nowMs: this.#nowMs,
        pause: (ms) => this.#pause(ms),
        leftOvers: () => this.#leftOvers(),
        allowed: (one) => this.onDemand.stillAllowed(one),
        inForce: async (key, signal) => {
          await this.#answers.inForce(key, signal);
          if (opened.spreadMs > 0) await this.#pause(opened.spreadMs);
        },
        onOrdering: (id) => {
          this.#ordering = id;
        },
      });
      this.#plan();
    } catch (error) {
      await this.#openLater(error, failures);
    }
  }

  async #openLater(error: unknown, failures: number): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    const { home, log } = this.#options;
    // The process that this one takes the place of still has it.
    if (failures === 0) await this.#lookInto();
    if (failures === 1) {
      const message = `certificates are not renewed until it is: ${reason}`;
      log.error('certificate.store_failed', message);
    }
    const ms = Math.min(home.longestPauseMs, OPEN_AGAIN_MS * 2 ** failures);
    this.#callOff = this.#timing.after(ms, () => void this.#open(failures + 1));
  }

  async #lookInto(): Promise<void> {
    if (this.#vault === undefined) return;
    try {
      const store = await this.#options.home.lookInto();
      if (store !== undefined) await this.#follow(store);
    } catch {
      // It is said where it can't be opened either.
    }
  }

  async #follow(store: RegistryStore): Promise<void> {
    const isCurrent = (): boolean => this.#copy === copy;
    const onChange = (): void => void (isCurrent() && this.#take());
    const copy = new StoreCopy(store, PREFIX, onChange, this.#timing);
    await copy.begin();
    // What there was before is gone only now: this one may not have been readable.
    this.#copy?.close();
    this.#copy = copy;
    this.#take();
  }

  // ── What is in it ───────────────────────────────────────────────────────────────────────────────────────────────

  #take(): void {
    const copy = this.#copy;
    if (copy === undefined) return;
    this.#wanted = allWanted(this.#listed, this.onDemand, {
      keys: copy.objects.keys(),
      certificateAt: (key) => this.#certificateAt(key),
      failureOf: (one) => this.#failureOf(one),
      nowMs: this.#nowMs(),
    });
    const served = new Map<Wanted, Certificate>();
    for (const one of this.#wanted) {
      const certificate = this.#certificateOf(one);
      if (certificate !== undefined) served.set(one, certificate);
    }
    const hasChanged = !hasSame(served, this.#served);
    this.#served = served;
    this.#plans.sync(served);
    if (hasChanged) {
      this.#options.onIssued(new Map(Array.from(served, ([{ key }, one]) => [key, one])));
    }
    this.#answers.take(copy.objects, this.#vault);
    for (const key of this.#read.keys()) if (!copy.objects.has(key)) this.#read.delete(key);
    this.#plan();
  }

  #certificateOf({ id }: Wanted): Certificate | undefined {
    return this.#certificateAt(CERTIFICATES + id);
  }

  #certificateAt(key: string): Certificate | undefined {
    return this.#kept(key, (object, vault) => {
      const record = vault.read(object, CERTIFICATE);
      return issuedCertificate(record.name, record);
    });
  }

  #failureOf({ id }: Wanted): FailureRecord | undefined {
    return this.#failureAt(FAILURES + id);
  }

  #failureAt(key: string): FailureRecord | undefined {
    return this.#kept(key, (object, vault) => vault.read(object, FAILURE));
  }

  #leftOvers(): LeftOver[] {
    const kept = {
      objects: this.#copy?.objects.values() ?? [],
      certificateAt: (key: string) => this.#certificateAt(key),
      failureAt: (key: string) => this.#failureAt(key),
    };
    return leftOversOf(kept, new Set(this.#wanted.map(({ id }) => id)), this.#nowMs());
  }

  /** Each is read once. What can't be read is told once, and is not there. */
  #kept<Value extends Certificate | FailureRecord>(
    key: string,
    read: (object: StoredObject, vault: AcmeVault) => Value,
  ): Value | undefined {
    const object = this.#copy?.objects.get(key);
    const vault = this.#vault;
    if (object === undefined || vault === undefined) return undefined;
    const known = this.#read.get(key);
    if (known?.revision === object.revision) return (known.value ?? undefined) as Value | undefined;
    let value: Value | null = null;
    try {
      value = read(object, vault);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.error('certificate.store_failed', `what is kept can't be used: ${reason}`);
    }
    this.#read.set(key, { revision: object.revision, value });
    return value ?? undefined;
  }

  // ── What is to be done ──────────────────────────────────────────────────────────────────────────────────────────

  #plan(): void {
    const round = this.#round;
    if (round === undefined || !this.#isListening || this.#stopping.signal.aborted) return;
    if (this.#isWorking !== undefined) return;
    const nowMs = this.#nowMs();
    const due = Math.min(...this.states().map((one) => one.dueAtMs), this.#plans.nextMs());
    this.#callOff();
    // When its lease is over or it has done, the store says so.
    const isLocked = this.#copy?.objects.has(LOCK_KEY) === true;
    const leastMs = isLocked ? LOOK_AGAIN_MS * (1 + this.#timing.random()) : 0;
    const ms = Math.min(LONGEST_SLEEP_MS, Math.max(leastMs, due - nowMs));
    this.#callOff = this.#timing.after(ms, () => this.#work(round));
  }

  #work(round: IssuanceRound): void {
    const work = async (): Promise<void> => {
      const pauseMs = await this.#doWork(round);
      this.#isWorking = undefined;
      if (this.#stopping.signal.aborted) return;
      if (pauseMs === 0) this.#plan();
      else this.#planLater(pauseMs);
    };
    this.#isWorking = work();
  }

  #planLater(ms: number): void {
    // The store may have said meanwhile that the lock is free, and does not say it again.
    const isLocked = this.#copy?.objects.has(LOCK_KEY) === true;
    const pauseMs = isLocked ? ms : Math.min(ms, FREE_AGAIN_MS * (1 + this.#timing.random()));
    this.#callOff = this.#timing.after(pauseMs, () => this.#plan());
  }

  /** @returns how long to wait before anything is done again; 0: until something is due. Never rejects. */
  async #doWork(round: IssuanceRound): Promise<number> {
    await this.#plans.ask(this.#wanted);
    const nowMs = this.#nowMs();
    const due = this.states().filter((one) => one.dueAtMs <= nowMs);
    if (due.length === 0) return 0;
    const isDone = await round.run(inTurn(due));
    return isDone ? 0 : LOOK_AGAIN_MS * (1 + this.#timing.random());
  }

  #pause(ms: number): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        callOff();
        this.#pauses.delete(wake);
        resolve();
      };
      const callOff = this.#timing.after(ms, wake);
      this.#pauses.add(wake);
    });
  }
}
