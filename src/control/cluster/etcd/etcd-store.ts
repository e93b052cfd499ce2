/**
 * The store on etcd, over its JSON gateway (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/): `node:http` and no package. What is
 * behind the choice, and the traps, stands in docs/decisions/0044-registry-on-etcd.md.
 */
import { z } from 'zod';
import { KeptLease } from '../kept-lease.ts';
import {
  type Commit,
  checkTransaction,
  type Lease,
  type LeaseOptions,
  type Listing,
  type RegistryStore,
  type StoredObject,
  StoreError,
  type Transaction,
  type Watch,
  type Watcher,
} from '../registry-store.ts';
import { SYSTEM_TIMING, type Timing } from '../timing.ts';
import { EtcdWatch } from './etcd-watch.ts';
import { Gateway, type GatewayOptions } from './gateway.ts';
import {
  base64,
  COMMIT,
  compareOf,
  GRANT,
  KEPT_ALIVE,
  objectOf,
  operationOf,
  prefixRange,
  RANGE,
} from './wire-format.ts';

const READ_MS = 2_000;
const WRITE_MS = 3_000;
/** Objects of one answer. */
const PAGE = 500;
const ANYTHING = z.unknown();

export interface EtcdStoreOptions extends GatewayOptions {
  readonly timing?: Timing;
}

export class EtcdStore implements RegistryStore {
  readonly #gateway: Gateway;
  readonly #timing: Timing;
  readonly #watches = new Set<EtcdWatch>();
  readonly #leases = new Set<KeptLease>();

  constructor(options: EtcdStoreOptions) {
    this.#gateway = new Gateway(options);
    this.#timing = options.timing ?? SYSTEM_TIMING;
  }

  async list(prefix: string): Promise<Listing> {
    const range = prefixRange(prefix);
    const objects: StoredObject[] = [];
    let revision = 0;
    let { key } = range;
    for (;;) {
      // All pages are of the moment of the first.
      const at = revision === 0 ? {} : { revision: String(revision) };
      const page = await this.#range({ ...range, key, ...at, limit: String(PAGE) }, READ_MS);
      if (revision === 0) revision = page.header.revision;
      objects.push(...page.kvs.map(objectOf));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return { revision, objects };
      key = base64(`${last.key}\0`);
    }
  }

  async read(
    key: string,
    deadlineMs = READ_MS,
  ): Promise<{ revision: number; object: StoredObject | undefined }> {
    const { header, kvs } = await this.#range({ key: base64(key) }, deadlineMs);
    return { revision: header.revision, object: kvs.map(objectOf)[0] };
  }

  watch(prefix: string, after: number, watcher: Watcher): Watch {
    const watch = new EtcdWatch(this.#gateway, prefix, after, {
      started: () => watcher.started(),
      changed: (changes, revision) => watcher.changed(changes, revision),
      ended: (why) => {
        this.#watches.delete(watch);
        watcher.ended(why);
      },
    });
    this.#watches.add(watch);
    return {
      close: () => {
        this.#watches.delete(watch);
        watch.close();
      },
    };
  }

  async commit(transaction: Transaction): Promise<Commit> {
    checkTransaction(transaction);
    const { conditions, writes } = transaction;
    const keys = [...new Set(conditions.map(({ key }) => key))];
    const body = {
      compare: conditions.map(compareOf),
      success: writes.map(operationOf),
      failure: keys.map((key) => ({ request_range: { key: base64(key) } })),
    };
    const { header, succeeded, responses } = await this.#ask('write', 'kv/txn', body, COMMIT);
    const { revision } = header;
    if (succeeded) return { isDone: true, revision };
    const found = responses.flatMap(({ response_range: range }) => range?.kvs ?? []);
    return { isDone: false, revision, found: found.map(objectOf) };
  }

  async lease(options: LeaseOptions): Promise<Lease> {
    const askedAt = this.#timing.now();
    const seconds = Math.ceil(options.ttlMs / 1000);
    const { ID: id, TTL } = await this.#ask('write', 'lease/grant', { TTL: `${seconds}` }, GRANT);
    const calls = {
      renew: async () => {
        const { result } = await this.#ask('read', 'lease/keepalive', { ID: id }, KEPT_ALIVE);
        return result.TTL > 0 ? result.TTL * 1000 : undefined;
      },
      revoke: async () => {
        this.#leases.delete(lease);
        await this.#ask('read', 'lease/revoke', { ID: id }, ANYTHING);
      },
    };
    const terms = { ...options, ttlMs: TTL * 1000 };
    const lease = new KeptLease(id, askedAt, terms, calls, this.#timing);
    this.#leases.add(lease);
    return lease;
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.close();
    for (const lease of this.#leases) lease.stop();
    this.#gateway.close();
  }

  async #range(body: object, deadlineMs: number): Promise<z.output<typeof RANGE>> {
    const page = await this.#ask('read', 'kv/range', body, RANGE, deadlineMs);
    if (page.header.revision === 0) throw new StoreError('refused', 'etcd gives no revision');
    return page;
  }

  #ask<T>(
    use: 'read' | 'write',
    path: string,
    body: object,
    answer: z.ZodType<T>,
    deadlineMs = use === 'read' ? READ_MS : WRITE_MS,
  ): Promise<T> {
    return this.#gateway.call({ use, path: `/v3/${path}`, body, answer, deadlineMs });
  }
}
