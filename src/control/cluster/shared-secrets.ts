/**
 * Secrets that all instances have, sealed in the store: what signs session cookies, and what seals the session tickets of TLS.
 *
 * Whoever gets the lock makes what is missing, and new ones when their time is over. No session ends by that: the next secret of cookies lies
 * there first, and is good at all instances before one of them signs with it; the one before stays good for as long as a cookie
 * may live that it has signed.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { makeSessionSecret } from '../session-token.ts';
import { TICKET_KEYS_BYTES, TICKET_KEYS_ROTATION_MS } from '../ticket-keys.ts';
import { tryLock } from './fenced-lock.ts';
import type { FollowedCopy } from './followed-store.ts';
import {
  type Condition,
  keyOf,
  type RegistryStore,
  type StoredObject,
  type Write,
} from './registry-store.ts';
import { type Seal, SealError } from './sealed.ts';
import { valueOf } from './shared-objects.ts';
import { ContentRefused } from './store-content.ts';
import type { StoreKeys } from './store-keys.ts';

/** What signs; what will, and is good already; what did, and is good for a while. */
const COOKIES = 'cookies';
const NEXT_COOKIES = 'cookies-next';
const FORMER_COOKIES = 'cookies-former';
const TICKETS = 'tickets';
const LOCK_MS = 10_000;
export const COOKIES_ROTATION_MS = 30 * 24 * 3600 * 1000;
/** Who is in the cluster and has not taken the next secret by then is not waited for any longer. */
const LONGEST_WAIT_MS = 3600 * 1000;
/** An instance that is late signs with the former one for a little longer, and clocks differ. */
const LATE_MS = 3600 * 1000;

const SECRET = z.object({ v: z.literal(1), sealed: z.string(), made_at: z.number() });

export interface SharedSecretsOptions {
  readonly store: RegistryStore;
  readonly keys: StoreKeys;
  readonly seal: Seal;
  readonly instance: string;
  readonly onTicketKeys: (keys: Uint8Array) => void;
  /** All instances run on what the store had at this revision. */
  readonly isEverywhere: (revision: number) => boolean;
  /** How long a session cookie lives at most, in any pool. */
  readonly longestCookieMs: () => number;
  /** By the clock of the wall, in ms. */
  readonly now?: () => number;
}

interface Opened {
  readonly bytes: Buffer;
  readonly madeAt: number;
  /** The key that it is sealed under only opens any more. */
  readonly isOld: boolean;
  readonly revision: number;
}

/** What is there, by name. What can't be opened is not in it. */
type AllOpened = ReadonlyMap<string, Opened>;

/** To be sealed under a name, as made then. Undefined: to be taken away. */
type Wanted = { readonly bytes: Uint8Array; readonly madeAt: number } | undefined;

export class SharedSecrets {
  readonly #options: SharedSecretsOptions;
  readonly #now: () => number;
  #sessionSecret: string | undefined;
  #otherSecrets: readonly string[] = [];
  #ticketKeys: Buffer | undefined;
  #isMaking = false;
  #nextSeen: { readonly revision: number; readonly at: number } | undefined;

  constructor(options: SharedSecretsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** What signs session cookies; undefined: nothing is known yet. */
  get sessionSecret(): string | undefined {
    return this.#sessionSecret;
  }

  /** What session cookies may be signed with as well. */
  get otherSecrets(): readonly string[] {
    return this.#otherSecrets;
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
    this.#otherSecrets = [NEXT_COOKIES, FORMER_COOKIES].flatMap(
      (name) => open(name)?.bytes.toString() ?? [],
    );
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
    if (copy.objects.has(this.#options.keys.staged)) return;
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
      if (due.length === 0) return;
      const head = valueOf({ write: `secrets ${this.#now()}`, instance });
      await store.commit({
        conditions: [
          lock.fence(),
          { key: keys.epoch, value: copy.epoch },
          { key: keys.staged, isAbsent: true },
          // Who has had the lock before may have made them since.
          ...due.map((write) => sameAs(copy, keyOf(write))),
        ],
        writes: [...due, { put: keys.head, value: head }],
      });
    } finally {
      await lock.release();
    }
  }

  /** What can't be opened is not replaced: another key may be the right one. */
  #due({ objects }: FollowedCopy): Write[] {
    const { keys, seal } = this.#options;
    const opened = new Map<string, Opened>();
    const shut = new Set<string>();
    for (const name of [COOKIES, NEXT_COOKIES, FORMER_COOKIES, TICKETS]) {
      try {
        const one = this.#open(name, objects.get(keys.secret(name)));
        if (one !== undefined) opened.set(name, one);
      } catch (error) {
        if (!(error instanceof SealError)) throw error;
        shut.add(name);
      }
    }
    const wanted = new Map<string, Wanted>();
    for (const [name, one] of opened) if (one.isOld) wanted.set(name, one);
    // With one that can't be opened in the way, what signs until then had no place to go.
    const isShut = shut.has(COOKIES) || (opened.has(COOKIES) && shut.has(FORMER_COOKIES));
    if (!isShut) this.#wantCookies(opened, wanted);
    this.#wantTickets(opened, wanted);
    return [...wanted].flatMap(([name, want]): Write[] => {
      if (shut.has(name)) return [];
      const key = keys.secret(name);
      if (want === undefined) return [{ remove: key }];
      const { bytes, madeAt: made_at } = want;
      return [{ put: key, value: valueOf({ sealed: seal.seal(name, bytes), made_at }) }];
    });
  }

  #wantCookies(opened: AllOpened, wanted: Map<string, Wanted>): void {
    const now = this.#now();
    const made = (): Wanted => ({ bytes: Buffer.from(makeSessionSecret()), madeAt: now });
    const [current, next, former] = [COOKIES, NEXT_COOKIES, FORMER_COOKIES].map((name) =>
      opened.get(name),
    );
    if (current === undefined) {
      wanted.set(COOKIES, made());
      return;
    }
    const { isEverywhere, longestCookieMs } = this.#options;
    if (
      next !== undefined &&
      (isEverywhere(next.revision) || now > this.#sawNextAt(next, now) + LONGEST_WAIT_MS)
    ) {
      wanted.set(COOKIES, { bytes: next.bytes, madeAt: now });
      // From now on nothing is signed with it.
      wanted.set(FORMER_COOKIES, { bytes: current.bytes, madeAt: now });
      wanted.set(NEXT_COOKIES, undefined);
      return;
    }
    const isFormerOver = former !== undefined && now > former.madeAt + longestCookieMs() + LATE_MS;
    if (isFormerOver) wanted.set(FORMER_COOKIES, undefined);
    const isDue = now > current.madeAt + COOKIES_ROTATION_MS;
    if (isDue && next === undefined && former === undefined) wanted.set(NEXT_COOKIES, made());
  }

  /** The clock of whoever has made it may be another one. */
  #sawNextAt({ revision }: Opened, now: number): number {
    if (this.#nextSeen?.revision !== revision) this.#nextSeen = { revision, at: now };
    return this.#nextSeen.at;
  }

  #wantTickets(opened: AllOpened, wanted: Map<string, Wanted>): void {
    const now = this.#now();
    const known = opened.get(TICKETS);
    if (known !== undefined && now <= known.madeAt + TICKET_KEYS_ROTATION_MS) return;
    wanted.set(TICKETS, { bytes: randomBytes(TICKET_KEYS_BYTES), madeAt: now });
  }

  /** @throws SealError */
  #open(name: string, object: StoredObject | undefined): Opened | undefined {
    return object && openSecret(this.#options.seal, name, object);
  }
}

/** @throws SealError */
/** What an instance without a key can't open: its sessions are its own then, which nobody would see otherwise. */
export function sealedIn(
  objects: FollowedCopy['objects'],
  keys: StoreKeys,
): { readonly key: string; readonly reason: string }[] {
  return [COOKIES, TICKETS].flatMap((name) => {
    const key = keys.secret(name);
    const reason = 'it is sealed, and the config of this instance has no cluster.key_file';
    return objects.has(key) ? [{ key, reason }] : [];
  });
}

function openSecret(seal: Seal, name: string, { value, revision }: StoredObject): Opened {
  let parsed: z.output<typeof SECRET>;
  try {
    parsed = SECRET.parse(JSON.parse(value));
  } catch {
    throw new SealError(`${name} is not what an instance has written`);
  }
  const bytes = seal.open(name, parsed.sealed);
  const { made_at: madeAt, sealed } = parsed;
  return { bytes, madeAt, isOld: seal.isOld(sealed), revision };
}

function sameAs({ objects }: FollowedCopy, key: string): Condition {
  const known = objects.get(key);
  return known === undefined ? { key, isAbsent: true } : { key, revision: known.revision };
}

/**
 * A new secret of cookies lies in the store from then on; the instances go over to it by themselves.
 * @throws ContentRefused where they are at it already, nobody has made one yet, or they could not open it. StoreError
 */
export async function beginRotation(
  store: RegistryStore,
  keys: StoreKeys,
  seal: Seal,
): Promise<void> {
  const { objects } = await store.list(keys.cfg);
  const epoch = objects.find(({ key }) => key === keys.epoch)?.value;
  const current = objects.find(({ key }) => key === keys.secret(COOKIES));
  const next = keys.secret(NEXT_COOKIES);
  if (epoch === undefined || current === undefined) {
    throw new ContentRefused(
      'no instance has made a secret of session cookies yet: there is nothing to rotate',
    );
  }
  expectKeyOf(current, seal);
  const sealed = seal.seal(NEXT_COOKIES, makeSessionSecret());
  const head = valueOf({ write: randomUUID(), instance: 'fairlead cluster' });
  const { isDone } = await store.commit({
    conditions: [
      { key: keys.epoch, value: epoch },
      { key: next, isAbsent: true },
      { key: keys.staged, isAbsent: true },
    ],
    writes: [
      { put: next, value: valueOf({ sealed, made_at: Date.now() }) },
      { put: keys.head, value: head },
    ],
  });
  if (!isDone) {
    throw new ContentRefused('the instances are going over to a new secret already: wait for it');
  }
}

/** What instances can't open lies in their way for ever. @throws ContentRefused */
function expectKeyOf(current: StoredObject, seal: Seal): void {
  try {
    // They seal anew at once what is under a key that is not their first.
    if (!openSecret(seal, COOKIES, current).isOld) return;
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    throw new ContentRefused(`this key is not that of the instances: ${error.message}`);
  }
  throw new ContentRefused(
    'this key is not that of the instances yet: what they share is sealed under another one',
  );
}
