/**
 * Who is in the cluster: each instance has a key that goes with its lease, and says there what it runs on. Two processes that go by one name have
 * one key: each finds there what the other has written, and writes its own, so that both know.
 */
import { z } from 'zod';
import type { Refusal } from './accepted-objects.ts';
import type { Lease, RegistryStore, StoredObject } from './registry-store.ts';
import type { StoreKeys } from './store-keys.ts';
import { backOffMs, type Timing } from './timing.ts';

const LEASE_MS = 10_000;
/** Changes of what an instance runs on are told no oftener. */
const TELL_MS = 200;
const LOOK_MS = 5_000;
/** Each of two that go by one name finds the other at its looks, or at every other one. */
const RIVAL_MS = 3 * LOOK_MS;
/** What a member tells is bounded. */
const MOST_REFUSALS = 20;

const REFUSAL = z.object({ key: z.string(), reason: z.string() });
const MEMBER = z.object({
  instance: z.string(),
  address: z.string().nullable(),
  version: z.string(),
  epoch: z.string().nullable(),
  applied: z.number(),
  refused: z.array(REFUSAL),
  since: z.string(),
});

/** `applied`: the revision of the last change that it runs on. */
export type Member = z.output<typeof MEMBER>;

export interface MembersOptions {
  readonly store: RegistryStore;
  readonly keys: StoreKeys;
  readonly timing: Timing;
  readonly self: Pick<Member, 'instance' | 'address' | 'version'>;
  /** Another process goes by the name of this one. Once, as long as it does. */
  readonly onRival: (message: string) => void;
  /** As many members as there are, where that is another number; this one counts. */
  readonly onCount: (count: number) => void;
  /** By the clock of the wall, in ms. */
  readonly now?: () => number;
}

export class Members {
  readonly #options: MembersOptions;
  readonly #since: string;
  #told: Pick<Member, 'epoch' | 'applied' | 'refused'> = { epoch: null, applied: 0, refused: [] };
  #isTold = false;
  #isTelling = false;
  #lastTold = Number.NEGATIVE_INFINITY;
  #lease: Lease | undefined;
  #failures = 0;
  #members: readonly Member[] = [];
  /** As many as were told. */
  #counted = 0;
  #isClosed = false;
  /** An heir may write to our key. */
  #isHeld = false;
  #rivalSeenAt = Number.NEGATIVE_INFINITY;
  #callOffLook: () => void = () => {};
  #callOffTell: () => void = () => {};

  constructor(options: MembersOptions) {
    this.#options = options;
    this.#since = new Date(options.now?.() ?? Date.now()).toISOString();
  }

  begin(): void {
    void this.#tell();
    void this.#look();
  }

  /** Another process goes by the name of this one: in words; undefined: none does. */
  get rivalry(): string | undefined {
    const { self, timing } = this.#options;
    if (timing.now() > this.#rivalSeenAt + RIVAL_MS) return undefined;
    return `another instance is called ${self.instance} as well, and neither is known to run on what the other does: set cluster.instance`;
  }

  /** A process that takes the place of this one begins. */
  hold(): void {
    this.#isHeld = true;
  }

  /** It does not, after all. What it may have said of this one is said anew. */
  goOn(): void {
    this.#isHeld = false;
    this.#lost();
  }

  /** As of the last look. */
  get known(): readonly Member[] {
    return this.#members;
  }

  /** As of the last look. */
  allRunOn(revision: number): boolean {
    return this.#members.length > 0 && this.#members.every((one) => this.isOn(one, revision));
  }

  /** Revisions of another store say nothing of ours, and who has refused what is there as a whole runs on what was before. */
  isOn({ epoch, applied, refused }: Member, revision: number): boolean {
    const { cfg } = this.#options.keys;
    return (
      epoch === this.#told.epoch && applied >= revision && !refused.some(({ key }) => key === cfg)
    );
  }

  get #value(): string {
    const { instance, address, version } = this.#options.self;
    return JSON.stringify({ instance, address, version, ...this.#told, since: this.#since });
  }

  runsOn(epoch: string, applied: number, refused: readonly Refusal[]): void {
    // Before all: that of everything.
    const { cfg } = this.#options.keys;
    const whole = refused.filter(({ key }) => key === cfg);
    const others = refused.filter(({ key }) => key !== cfg);
    this.#told = { epoch, applied, refused: [...whole, ...others].slice(0, MOST_REFUSALS) };
    this.#isTold = false;
    void this.#tell();
  }

  /** @throws StoreError */
  async list(): Promise<readonly Member[]> {
    const { store, keys } = this.#options;
    const { objects } = await store.list(keys.members);
    const { self, onCount } = this.#options;
    this.#members = objects.flatMap(memberOf);
    const count = this.#members.length;
    const own = this.#members.find(({ instance }) => instance === self.instance);
    const isSelfThere = own !== undefined;
    if (isSelfThere && count !== this.#counted) {
      this.#counted = count;
      onCount(count);
    }
    // Taken away by hand, or with the lease of another process of this name, as after an upgrade.
    const isRead = this.#isTold && !this.#isTelling;
    if (!isSelfThere && isRead) this.#lost();
    else if (isSelfThere && own.since !== this.#since && isRead && !this.#isHeld) this.#met();
    return this.#members;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#callOffLook();
    this.#callOffTell();
    await this.#lease?.release();
  }

  async #look(): Promise<void> {
    // Nobody is known to have gone while nobody can be asked.
    await this.list().catch(() => {});
    if (this.#isClosed) return;
    this.#callOffLook = this.#options.timing.after(LOOK_MS, () => void this.#look());
  }

  async #tell(): Promise<void> {
    const { timing } = this.#options;
    if (this.#isTelling || this.#isClosed || this.#isHeld) return;
    this.#callOffTell();
    const waitMs = this.#lastTold + TELL_MS - timing.now();
    if (waitMs > 0) {
      this.#callOffTell = timing.after(waitMs, () => void this.#tell());
      return;
    }
    this.#isTelling = true;
    this.#lastTold = timing.now();
    this.#isTold = true;
    try {
      await this.#write();
      this.#failures = 0;
    } catch {
      this.#isTold = false;
      this.#failures++;
    }
    this.#isTelling = false;
    if (this.#isClosed || this.#isTold) return;
    const pauseMs = this.#failures === 0 ? TELL_MS : backOffMs(this.#failures, timing.random());
    this.#callOffTell = timing.after(pauseMs, () => void this.#tell());
  }

  async #write(): Promise<void> {
    const { store, keys, self } = this.#options;
    const key = keys.member(self.instance);
    if (this.#lease?.isHeld() !== true) {
      const lease = await store.lease({ ttlMs: LEASE_MS, onLost: () => this.#lost() });
      // Nobody else would ever end it.
      if (this.#isClosed) return lease.release();
      this.#lease = lease;
    }
    await store.commit({
      conditions: [],
      writes: [{ put: key, value: this.#value, lease: this.#lease.id }],
    });
  }

  /** A process of our name has written to our key since we did. */
  #met(): void {
    const isNews = this.rivalry === undefined;
    this.#rivalSeenAt = this.#options.timing.now();
    const { rivalry } = this;
    if (isNews && rivalry !== undefined) this.#options.onRival(rivalry);
    this.#lost();
  }

  #lost(): void {
    this.#isTold = false;
    void this.#tell();
  }
}

export function memberOf({ value }: StoredObject): Member[] {
  try {
    return [MEMBER.parse(JSON.parse(value))];
  } catch {
    return [];
  }
}
