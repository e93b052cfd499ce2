/** Where things lie in the store: `<prefix><cluster>/`, below it `cfg/` for what all instances run on, and `rt/` for what goes with them. */
import { createHash } from 'node:crypto';

/** Of a URL: no two that matter have the same, and it is fit for a key. */
const HASH_LENGTH = 24;

export class StoreKeys {
  /** Everything of this cluster begins with it. */
  readonly root: string;
  readonly cfg: string;
  /** Written once, when the store is begun. */
  readonly epoch: string;
  /** The epochs that this one takes the place of: see `FollowedStoreOptions`. */
  readonly succeeds: string;
  /** Written with every change below `cfg/`: its revision is that of the configuration. */
  readonly head: string;
  /** There while a change is written that takes several transactions: see staged-commit.ts. */
  readonly staged: string;
  /** The id that the next backend gets. */
  readonly ids: string;
  readonly members: string;
  readonly locks: string;

  /** @param prefix ends with a slash. */
  constructor(prefix: string, cluster: string) {
    this.root = `${prefix}${cluster}/`;
    this.cfg = `${this.root}cfg/`;
    this.epoch = `${this.cfg}meta/epoch`;
    this.succeeds = `${this.cfg}meta/succeeds`;
    this.head = `${this.cfg}meta/head`;
    this.staged = `${this.cfg}meta/staged`;
    this.ids = `${this.cfg}meta/ids`;
    this.members = `${this.root}rt/members/`;
    this.locks = `${this.root}rt/locks/`;
  }

  pool(name: string): string {
    return `${this.cfg}pools/${name}`;
  }

  backend(pool: string, id: number): string {
    return `${this.cfg}backends/${pool}/${id}`;
  }

  /** There is one for each URL in a pool: what keeps two instances from adding the same. */
  unique(pool: string, url: string): string {
    return `${this.cfg}uniq/${pool}/${hashOf(url)}`;
  }

  /** What operators want of a pool. */
  poolControl(pool: string): string {
    return `${this.cfg}ctl/${pool}`;
  }

  /** What operators want of the backend of this URL, be it listed or found. */
  control(pool: string, url: string): string {
    return `${this.cfg}ctl/${pool}/${hashOf(url)}`;
  }

  route(id: string): string {
    return `${this.cfg}routes/${id}`;
  }

  secret(name: string): string {
    return `${this.cfg}sec/${name}`;
  }

  member(instance: string): string {
    return `${this.members}${instance}`;
  }
}

function hashOf(url: string): string {
  return createHash('sha256').update(url).digest('hex').slice(0, HASH_LENGTH);
}
