/**
 * One certificate, fetched under the lock: the account, the order, and what is kept of both. All writes carry the fence of the lock, and
 * the key of an account or of an order is kept before the authority hears of it, so that a stop in between loses nothing.
 */
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import type { FencedLock } from '../cluster/fenced-lock.ts';
import type { Listing, RegistryStore, Write } from '../cluster/registry-store.ts';
import { AccountKey } from './account-key.ts';
import { AcmeProblem } from './acme-problem.ts';
import {
  ACCOUNT,
  type AccountRecord,
  accountKeyOf,
  CERTIFICATES,
  type CertificateRecord,
  FAILURES,
  ORDER,
  orderKeyOf,
} from './acme-records.ts';
import type { AcmeVault } from './acme-vault.ts';
import { Authority } from './authority.ts';
import { makeKey } from './certificate-request.ts';
import { newCertificate, UnfitCertificate } from './issued-certificate.ts';
import {
  type BegunOrder,
  completeOrder,
  newOrder,
  type OrderOptions,
  type Prover,
} from './order.ts';
import type { Wanted } from './wanted.ts';

/** The lock has gone to another instance: this one has nothing more to say. */
export class LockLost extends Error {}

export interface IssuanceOptions {
  readonly store: RegistryStore;
  readonly vault: AcmeVault;
  readonly lock: FencedLock;
  readonly signal: AbortSignal;
  readonly pause: (ms: number) => Promise<void>;
  readonly nowMs: () => number;
  readonly onAccount: (directoryUrl: string) => void;
}

export class Issuance {
  readonly #options: IssuanceOptions;
  readonly #wanted: Wanted;
  readonly #prover: Prover;

  constructor(wanted: Wanted, prover: Prover, options: IssuanceOptions) {
    this.#wanted = wanted;
    this.#prover = prover;
    this.#options = options;
  }

  /**
   * @param found what the store has, read under the lock.
   * @param replaces see `newOrder`.
   * @throws LockLost, StoreError, AcmeProblem, Error
   */
  async run(found: Listing, replaces: string | undefined): Promise<Certificate> {
    const authority = await this.#authority(found);
    try {
      return await this.#order(authority, found, replaces);
    } catch (error) {
      if (!(error instanceof AcmeProblem) || error.kind !== 'accountDoesNotExist') throw error;
      // The authority has lost it, or has deactivated it: the same key gets another one.
      await this.#makeAccount(authority);
      return await this.#order(authority, undefined, replaces);
    }
  }

  async #authority(found: Listing): Promise<Authority> {
    const { vault, signal, nowMs } = this.#options;
    const { directoryUrl, caFile } = this.#wanted.settings;
    const key = accountKeyOf(this.#wanted.settings);
    const kept = found.objects.find((object) => object.key === key);
    let account: AccountRecord;
    if (kept === undefined) {
      account = { version: 1, directoryUrl, key: AccountKey.generate(), url: '' };
      await this.#write([{ put: key, value: vault.written(key, account) }]);
    } else account = vault.read(kept, ACCOUNT);
    const url = account.url === '' ? undefined : account.url;
    const options = { directoryUrl, caFile, signal, nowMs };
    const authority = new Authority(new AccountKey(account.key), url, options);
    if (url === undefined) await this.#makeAccount(authority, account);
    return authority;
  }

  async #makeAccount(authority: Authority, known?: AccountRecord): Promise<void> {
    const { store, vault, onAccount } = this.#options;
    const { settings } = this.#wanted;
    const key = accountKeyOf(settings);
    const url = await authority.makeAccount(settings.email, settings.externalAccount);
    const { object } = known === undefined ? await store.read(key) : { object: undefined };
    const account = known ?? (object && vault.read(object, ACCOUNT));
    if (account === undefined) throw new Error(`${key} is gone from the store`);
    await this.#write([{ put: key, value: vault.written(key, { ...account, url }) }]);
    onAccount(settings.directoryUrl);
  }

  async #order(
    authority: Authority,
    found: Listing | undefined,
    replaces: string | undefined,
  ): Promise<Certificate> {
    const { name, id, settings } = this.#wanted;
    const { vault, pause, nowMs } = this.#options;
    const { challenge } = settings;
    const order: OrderOptions = { authority, name, challenge, prover: this.#prover, pause, nowMs };
    const orderKey = orderKeyOf(id);
    const kept = found?.objects.find(({ key }) => key === orderKey);
    if (kept !== undefined) {
      try {
        return await this.#complete(order, vault.read(kept, ORDER));
      } catch (error) {
        if (!(error instanceof AcmeProblem) || error.kind === 'accountDoesNotExist') throw error;
        // It is too old, or nobody knows it any more.
      }
    }
    const begun = { url: await newOrder(order, replaces), key: makeKey() };
    const value = vault.written(orderKey, { version: 1, ...begun });
    await this.#write([{ put: orderKey, value }]);
    return this.#complete(order, begun);
  }

  async #complete(order: OrderOptions, begun: BegunOrder): Promise<Certificate> {
    const { vault, nowMs } = this.#options;
    const { name, id, settings } = this.#wanted;
    const orderKey = orderKeyOf(id);
    let cert: string;
    let certificate: Certificate;
    try {
      cert = await completeOrder(order, begun);
      certificate = newCertificate(name, { cert, key: begun.key }, nowMs());
    } catch (error) {
      if (isFinal(error)) await this.#write([{ remove: orderKey }]);
      throw error;
    }
    const key = `${CERTIFICATES}${id}`;
    const { directoryUrl } = settings;
    const record: CertificateRecord = { version: 1, directoryUrl, name, cert, key: begun.key };
    await this.#write([
      { put: key, value: vault.written(key, record) },
      { remove: orderKey },
      { remove: `${FAILURES}${id}` },
    ]);
    return certificate;
  }

  async #write(writes: readonly Write[]): Promise<void> {
    const { store, lock } = this.#options;
    const { isDone } = await store.commit({ conditions: [lock.fence()], writes });
    if (!isDone) throw new LockLost('another instance has the lock');
  }
}

/** Nothing will come of the order. One that nobody could be asked about goes on where it is. */
function isFinal(error: unknown): boolean {
  if (error instanceof AcmeProblem) return error.status < 500 && error.kind !== 'rateLimited';
  return error instanceof UnfitCertificate;
}
