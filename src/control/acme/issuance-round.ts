/** What is due, one after the other, by the instance that has the lock; and what is kept and told of what has failed. */
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import type { Logger } from '../../observe/logger.ts';
import { type FencedLock, tryLock } from '../cluster/fenced-lock.ts';
import { type Listing, StoreError } from '../cluster/registry-store.ts';
import type { OpenedStore } from './acme-home.ts';
import { AcmeProblem } from './acme-problem.ts';
import {
  CERTIFICATE,
  CERTIFICATES,
  digestOf,
  FAILURE,
  FAILURES,
  type FailureRecord,
  LOCK_KEY,
  PREFIX,
} from './acme-records.ts';
import type { AcmeVault } from './acme-vault.ts';
import { Issuance, LockLost } from './issuance.ts';
import { issuedCertificate, UnfitCertificate } from './issued-certificate.ts';
import type { LeftOver } from './left-overs.ts';
import type { RenewalPlans } from './renewal-plans.ts';
import { retryMs } from './renewal-time.ts';
import { proverFor } from './store-prover.ts';
import { dueAtMs, type Wanted } from './wanted.ts';

/** So long nobody orders anything when its holder dies. */
const LOCK_MS = 10_000;
/**
 * Then what is due is looked at again, by `inTurn`: one whose authority lets it wait may take some minutes, and what has become due
 * meanwhile must not wait for all the others that do.
 */
const LONGEST_ROUND_MS = 60_000;
/** Each is a condition, and up to two writes; a transaction has 128 of either at most. */
const MOST_REMOVED_AT_ONCE = 50;

export interface AcmeCounts {
  issued: number;
  failed: number;
}

export interface IssuanceRoundOptions {
  readonly opened: OpenedStore;
  readonly vault: AcmeVault;
  readonly plans: RenewalPlans;
  readonly log: Logger;
  readonly holder: string;
  readonly counts: AcmeCounts;
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly nowMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** Resolves once what stands under this key is answered. @throws LockLost: `lost` was aborted before. */
  readonly inForce: (key: string, lost: AbortSignal) => Promise<void>;
  readonly leftOvers: () => readonly LeftOver[];
  /** Resolves if it may be ordered. @throws Error */
  readonly allowed: (wanted: Wanted) => Promise<void>;
  /** @param id of what is ordered now; undefined: nothing is. */
  readonly onOrdering: (id: string | undefined) => void;
}

export class IssuanceRound {
  readonly #options: IssuanceRoundOptions;
  #isStoreDown = false;

  constructor(options: IssuanceRoundOptions) {
    this.#options = options;
  }

  /** @returns false: another instance has the lock, or the store can't be had. Never rejects. */
  async run(due: readonly Wanted[]): Promise<boolean> {
    const { opened, holder, signal, nowMs, onOrdering } = this.#options;
    const lost = new AbortController();
    const onStop = (): void => lost.abort();
    signal.addEventListener('abort', onStop, { once: true });
    try {
      const options = { key: LOCK_KEY, holder, ttlMs: LOCK_MS, onLost: onStop };
      const lock = await tryLock(opened.store, options);
      if (lock === undefined) return false;
      try {
        const beganMs = nowMs();
        for (const one of due) {
          if (!lock.isHeld() || lost.signal.aborted) return false;
          await this.#issue(one, lock, lost.signal);
          if (nowMs() - beganMs >= LONGEST_ROUND_MS) break;
        }
        if (!lost.signal.aborted) await this.#tidy(lock);
      } finally {
        onOrdering(undefined);
        await lock.release();
      }
      this.#isStoreDown = false;
      return true;
    } catch (error) {
      this.#tellStore(error);
      return false;
    } finally {
      signal.removeEventListener('abort', onStop);
    }
  }

  /** What has become another meanwhile stays, with what would have gone beside it, until the next round. @throws StoreError */
  async #tidy(lock: FencedLock): Promise<void> {
    const { opened, leftOvers } = this.#options;
    const all = leftOvers();
    for (let at = 0; at < all.length; at += MOST_REMOVED_AT_ONCE) {
      const some = all.slice(at, at + MOST_REMOVED_AT_ONCE);
      const unchanged = some.map(({ object: { key, revision } }) => ({ key, revision }));
      const writes = some.flatMap(({ keys }) => keys.map((remove) => ({ remove })));
      await opened.store.commit({ conditions: [lock.fence(), ...unchanged], writes });
    }
  }

  /** @throws StoreError, LockLost */
  async #issue(wanted: Wanted, lock: FencedLock, signal: AbortSignal): Promise<void> {
    const { opened, vault, plans, log, counts, nowMs, pause, inForce, onOrdering } = this.#options;
    const { store } = opened;
    const found = await store.list(PREFIX);
    const before = this.#certificateIn(found, wanted);
    const renewAtMs = before && plans.renewAtMs(wanted, before);
    // Since this instance has looked, another one may have done it.
    if (dueAtMs(wanted, renewAtMs, this.#failureIn(found, wanted), nowMs()) > nowMs()) return;
    onOrdering(wanted.id);
    const { name, settings } = wanted;
    const prover = proverFor(wanted, {
      store,
      vault,
      log,
      inForce: (key) => inForce(key, signal),
      pause,
      nowMs,
    });
    const issuance = new Issuance(wanted, prover, {
      store,
      vault,
      lock,
      signal,
      pause,
      nowMs,
      onAccount: (directoryUrl) =>
        log.info('certificate.account', `an account was made at ${directoryUrl}`, {
          ca: directoryUrl,
        }),
    });
    try {
      await this.#options.allowed(wanted);
      const replaces = before && plans.renewalIdOf(wanted, before);
      const { facts } = await issuance.run(found, replaces);
      counts.issued++;
      const expires = new Date(facts.notAfterMs).toISOString();
      const what = before === undefined ? 'issued' : 'renewed';
      log.info(
        'certificate.issued',
        `the certificate for ${name} was ${what}, and is good until ${expires}`,
        {
          name,
          ca: settings.directoryUrl,
          challenge: settings.challenge,
          expires,
          renewal: before !== undefined,
        },
      );
    } catch (error) {
      if (signal.aborted || error instanceof LockLost) return;
      if (error instanceof StoreError) throw error;
      await this.#fail(wanted, lock, this.#failureIn(found, wanted), before, error);
    }
  }

  /** @throws StoreError */
  async #fail(
    wanted: Wanted,
    lock: FencedLock,
    last: FailureRecord | undefined,
    before: Certificate | undefined,
    error: unknown,
  ): Promise<void> {
    const { opened, vault, log, counts, random, nowMs } = this.#options;
    const { name, settings, id } = wanted;
    const problem = error instanceof AcmeProblem ? error : undefined;
    const message = error instanceof Error ? error.message : String(error);
    const failures = (last?.settings === digestOf(settings) ? last.failures : 0) + 1;
    const waitMs = retryMs(
      {
        failures,
        // Somebody has signed something then: the next try is another order.
        isUnreachable: problem === undefined && !(error instanceof UnfitCertificate),
        isRateLimited: problem?.kind === 'rateLimited',
        retryAfterMs: problem?.retryAfterMs,
      },
      random(),
    );
    const atMs = nowMs();
    const record: FailureRecord = {
      version: 1,
      failures,
      atMs,
      retryAtMs: atMs + waitMs,
      message,
      kind: problem?.kind ?? '',
      hint: problem?.hint ?? '',
      settings: digestOf(settings),
    };
    counts.failed++;
    const again = new Date(record.retryAtMs).toISOString();
    const meanwhile =
      before === undefined
        ? `nobody can connect to ${name} over TLS until there is one`
        : `the one before is good until ${new Date(before.facts.notAfterMs).toISOString()}`;
    const hint = record.hint === '' ? '' : ` (${record.hint})`;
    log.error(
      'certificate.not_issued',
      `no certificate for ${name}: ${message}${hint}; ${meanwhile}, next try ${again}`,
      {
        name,
        ca: settings.directoryUrl,
        challenge: settings.challenge,
        problem: record.kind,
        failures,
        next_try: again,
      },
    );
    const key = `${FAILURES}${id}`;
    const writes = [{ put: key, value: vault.written(key, record) }];
    await opened.store.commit({ conditions: [lock.fence()], writes });
  }

  #certificateIn({ objects }: Listing, { id, name }: Wanted): Certificate | undefined {
    const object = objects.find(({ key }) => key === `${CERTIFICATES}${id}`);
    try {
      return object && issuedCertificate(name, this.#options.vault.read(object, CERTIFICATE));
    } catch {
      // Told by who serves it.
      return undefined;
    }
  }

  #failureIn({ objects }: Listing, { id }: Wanted): FailureRecord | undefined {
    const object = objects.find(({ key }) => key === `${FAILURES}${id}`);
    try {
      return object && this.#options.vault.read(object, FAILURE);
    } catch {
      return undefined;
    }
  }

  /** Once, until it works again. */
  #tellStore(error: unknown): void {
    const { log, signal } = this.#options;
    if (this.#isStoreDown || signal.aborted || error instanceof LockLost) return;
    this.#isStoreDown = true;
    const reason = error instanceof Error ? error.message : String(error);
    log.error(
      'certificate.store_failed',
      `certificates are not renewed, as nothing can be kept: ${reason}`,
    );
  }
}
