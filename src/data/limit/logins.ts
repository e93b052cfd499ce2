/**
 * Whether passwords are right, without scrypt in the way of requests, and without a way for strangers to burn processor time or
 * to fill the memory:
 *
 * - It is computed on Node's threads for such work, one at a time for this thread, never on the event loop.
 * - What has been right is known from then on, and costs a hash: a password for each user, so that there are no more of these than
 *   the config has users. They are kept as keyed hashes.
 * - What has been wrong is known for a while: a program with an old password asks every second.
 * - So many wait at most, and of these so many of one client; the same password twice waits once. After a wrong one there is
 *   a pause as long as that took: guessing gets half of one processor at most.
 */
import { hash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { guarded, type Victim } from '../barrier.ts';
import type { Deadlines, Waiting } from '../deadlines.ts';
import type { Login, StoredPassword } from './basic-auth.ts';

/** Whoever waits for the answer. */
export interface LoginWaiter extends Victim {
  /** False: nobody waits any more. */
  readonly awaitsLogin: boolean;
  /** @param isRight null: it could not be found out. */
  onLoginChecked(isRight: boolean | null): void;
}

interface Job {
  readonly digest: string;
  readonly login: Login;
  readonly client: string;
  readonly waiters: LoginWaiter[];
}

const MOST_JOBS = 64;
const MOST_JOBS_OF_CLIENT = 4;
/** More users than any config has: only so that nothing grows for ever over many reloads. */
const MOST_RIGHT = 10_000;
const MOST_WRONG = 1_000;

export class Logins implements Waiting {
  readonly #deadlines: Pick<Deadlines, 'now' | 'set'>;
  /** Hashes are worth nothing to who does not have it. */
  readonly #secret = randomBytes(32).toString('base64');
  /** By the id of what is stored: what was right, as a digest. */
  readonly #right = new Map<string, string>();
  readonly #wrong = new Set<string>();
  readonly #jobs = new Map<string, Job>();
  /** In the order that they came. */
  readonly #queue: Job[] = [];
  readonly #jobsOfClients = new Map<string, number>();
  /** One is computed, or there is a pause behind one. */
  #isBusy = false;

  constructor(deadlines: Pick<Deadlines, 'now' | 'set'>) {
    this.#deadlines = deadlines;
  }

  /** Null: it has to be computed, by `check`. */
  isRight(login: Login): boolean | null {
    const digest = this.#digestOf(login);
    if (this.#right.get(login.stored.id) === digest) return true;
    return this.#wrong.has(digest) ? false : null;
  }

  /**
   * Tells `waiter` later whether it is right.
   * @param client whom it comes from: see client-network.ts.
   * @returns false: too many are to be checked already.
   */
  check(login: Login, client: string, waiter: LoginWaiter): boolean {
    const digest = this.#digestOf(login);
    const known = this.#jobs.get(digest);
    if (known !== undefined) {
      known.waiters.push(waiter);
      return true;
    }
    const ofClient = this.#jobsOfClients.get(client) ?? 0;
    if (this.#jobs.size >= MOST_JOBS || ofClient >= MOST_JOBS_OF_CLIENT) return false;
    const job = { digest, login, client, waiters: [waiter] };
    this.#jobs.set(digest, job);
    this.#jobsOfClients.set(client, ofClient + 1);
    if (this.#isBusy) this.#queue.push(job);
    else this.#compute(job);
    return true;
  }

  /** The pause is over. */
  onDue(): void {
    this.#next();
  }

  #digestOf({ stored, user, password }: Login): string {
    // The user too: of two whom nobody knows, the second must not be quicker because the first has tried the same.
    return hash('sha256', JSON.stringify([this.#secret, stored.id, user, password]), 'base64');
  }

  #next(): void {
    this.#isBusy = false;
    for (;;) {
      const job = this.#queue.shift();
      if (job === undefined) return;
      if (job.waiters.some(({ awaitsLogin }) => awaitsLogin)) {
        this.#compute(job);
        return;
      }
      this.#forget(job);
    }
  }

  #compute(job: Job): void {
    const { stored, password } = job.login;
    const { salt, key, cost: N, blockSize: r, parallelization: p } = stored;
    const startedAt = this.#deadlines.now();
    this.#isBusy = true;
    const options = { N, r, p, maxmem: memoryOf(stored) };
    scrypt(Buffer.from(password, 'latin1'), salt, key.length, options, (error, derived) => {
      const isRight = error === null ? timingSafeEqual(derived, key) : null;
      this.#note(job, isRight);
      const now = this.#deadlines.now();
      if (isRight === true) this.#next();
      else this.#deadlines.set(now + Math.max(1, now - startedAt), this);
      for (const waiter of job.waiters) guarded(waiter, () => waiter.onLoginChecked(isRight));
    });
  }

  #note(job: Job, isRight: boolean | null): void {
    this.#forget(job);
    if (isRight === true) {
      makeRoom(this.#right, MOST_RIGHT);
      this.#right.set(job.login.stored.id, job.digest);
    } else if (isRight === false) {
      makeRoom(this.#wrong, MOST_WRONG);
      this.#wrong.add(job.digest);
    }
  }

  #forget({ digest, client }: Job): void {
    this.#jobs.delete(digest);
    const left = (this.#jobsOfClients.get(client) ?? 0) - 1;
    if (left > 0) this.#jobsOfClients.set(client, left);
    else this.#jobsOfClients.delete(client);
  }
}

/** The oldest goes. */
function makeRoom(known: Map<string, unknown> | Set<string>, most: number): void {
  if (known.size < most) return;
  for (const oldest of known.keys()) {
    known.delete(oldest);
    return;
  }
}

/** What scrypt uses (RFC 7914 §2), and a little for itself. */
function memoryOf({ cost, blockSize, parallelization }: StoredPassword): number {
  return 128 * blockSize * (cost + parallelization + 2) + 1024 * 1024;
}
