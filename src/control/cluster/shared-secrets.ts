/**
 * Secrets that all instances have, sealed in the store: what signs session cookies, and what seals the session tickets of TLS.
 *
 * Whoever gets the lock makes what is missing, and new ticket keys when their time is over. The secret of cookies stays: a new one would
 * end all sessions.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { makeSessionSecret } from '../session-token.ts';
import { TICKET_KEYS_BYTES, TICKET_KEYS_ROTATION_MS } from '../ticket-keys.ts';
import { tryLock } from './fenced-lock.ts';
import type { FollowedCopy } from './followed-store.ts';
import type { RegistryStore, StoredObject, Write } from './registry-store.ts';
import { type Seal, SealError } from './sealed.ts';
import { valueOf } from './shared-objects.ts';
import type { StoreKeys } from './store-keys.ts';

const COOKIES = 'cookies';
const TICKETS = 'tickets';
const LOCK_MS = 10_000;

const SECRET = z.object({ v: z.literal(1), sealed: z.string(), made_at: z.number() });

export interface SharedSecretsOptions {
  readonly store: RegistryStore;
  readonly keys: StoreKeys;
  readonly seal: Seal;
  readonly instance: string;
  readonly onTicketKeys: (keys: Uint8Array) => void;
  /** By the clock of the wall, in ms. */
  readonly now?: () => number;
}

interface Opened {
  readonly bytes: Buffer;
  readonly madeAt: number;
  /** The key that it is sealed under only opens any more. */
  readonly isOld: boolean;
}

export class SharedSecrets {
  readonly #options: SharedSecretsOptions;
  readonly #now: () => number;
  #sessionSecret: string | undefined;
  #ticketKeys: Buffer | undefined;
  #isMaking = false;

  constructor(options: SharedSecretsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** What signs session cookies; undefined: nothing is known yet. */
  get sessionSecret(): string | undefined {
    return this.#sessionSecret;
  }

  /** What is in the copy holds from now on. @returns what can't be opened, and why: then what was known stays. */
  take({ objects }: FollowedCopy): { readonly key: string; readonly reason: string }[] {
    const refused: { key: string; reason: string }[] = [];
    const open = (name: string): Opened | undefined => {
      const key = this.#options.keys.secret(name);
      try {
        return this.#open(name, objects.get(key));
      } catch (error) {
        refused.push({ key, reason: (error as Error).message });
        return undefined;
      }
    };
    this.#sessionSecret = open(COOKIES)?.bytes.toString() ?? this.#sessionSecret;
    const tickets = open(TICKETS)?.bytes;
    if (tickets !== undefined && this.#ticketKeys?.equals(tickets) !== true) {
      this.#ticketKeys = tickets;
      this.#options.onTicketKeys(tickets);
    }
    return refused;
  }

  /** Makes what is due, if nobody else does. @throws StoreError */
  async maintain(copy: FollowedCopy): Promise<void> {
    if (this.#isMaking || this.#due(copy).length === 0) return;
    this.#isMaking = true;
    try {
      await this.#makeDue(copy);
    } finally {
      this.#isMaking = false;
    }
  }

  async #makeDue(copy: FollowedCopy): Promise<void> {
    const { store, keys, instance } = this.#options;
    const key = `${keys.locks}secrets`;
    const lock = await tryLock(store, { key, holder: instance, ttlMs: LOCK_MS });
    if (lock === undefined) return;
    try {
      const due = this.#due(copy);
      const head = valueOf({ write: `secrets ${this.#now()}`, instance });
      await store.commit({
        conditions: [
          lock.fence(),
          { key: keys.epoch, value: copy.epoch },
          // Who has had the lock before may have made them since.
          ...due.map(({ put }) => {
            const known = copy.objects.get(put);
            return known === undefined
              ? ({ key: put, isAbsent: true } as const)
              : { key: put, revision: known.revision };
          }),
        ],
        writes: [...due, { put: keys.head, value: head }],
      });
    } finally {
      await lock.release();
    }
  }

  /** What can't be opened is not replaced: another key may be the right one. */
  #due({ objects }: FollowedCopy): (Write & { readonly put: string })[] {
    const writes: (Write & { readonly put: string })[] = [];
    const look = (name: string, make: (opened: Opened | undefined) => Opened | Buffer): void => {
      const put = this.#options.keys.secret(name);
      try {
        const opened = this.#open(name, objects.get(put));
        const wanted = make(opened);
        if (wanted === opened && !opened.isOld) return;
        const isNew = Buffer.isBuffer(wanted);
        const bytes = isNew ? wanted : wanted.bytes;
        const made_at = isNew ? this.#now() : wanted.madeAt;
        writes.push({
          put,
          value: valueOf({ sealed: this.#options.seal.seal(name, bytes), made_at }),
        });
      } catch (error) {
        if (!(error instanceof SealError)) throw error;
      }
    };
    look(COOKIES, (opened) => opened ?? Buffer.from(makeSessionSecret()));
    look(TICKETS, (opened) => {
      const isDue = opened === undefined || this.#now() > opened.madeAt + TICKET_KEYS_ROTATION_MS;
      return isDue ? randomBytes(TICKET_KEYS_BYTES) : opened;
    });
    return writes;
  }

  /** @throws SealError */
  #open(name: string, object: StoredObject | undefined): Opened | undefined {
    if (object === undefined) return undefined;
    const { seal } = this.#options;
    let parsed: z.output<typeof SECRET>;
    try {
      parsed = SECRET.parse(JSON.parse(object.value));
    } catch {
      throw new SealError(`${name} is not what an instance has written`);
    }
    const bytes = seal.open(name, parsed.sealed);
    return { bytes, madeAt: parsed.made_at, isOld: seal.isOld(parsed.sealed) };
  }
}
