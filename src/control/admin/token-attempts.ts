/**
 * How fast tokens may be guessed: an address may be wrong so often, and is then not even looked at for a while. A token that was
 * right before, from the same address, is let through all the same, so that who shares an address with somebody who guesses (all
 * of a machine do on loopback) keeps the right to call.
 */
import type { Logger } from '../../observe/logger.ts';
import { blockOf } from './address-block.ts';
import { ProblemError } from './problem.ts';

const MOST_WRONG = 20;
const ONE_MORE_AFTER_MS = 1000;
/** Of those that were right, per address. */
const MOST_RIGHT = 16;
const MOST_ADDRESSES = 4096;
const QUIET_MS = 60_000;

interface Address {
  /** How many more may be wrong, as of `atMs`. */
  left: number;
  atMs: number;
  readonly right: Set<string>;
}

export interface TokenAttemptsOptions {
  readonly log: Logger;
  /** In ms; never goes back. */
  readonly now?: () => number;
}

export class TokenAttempts {
  readonly #log: Logger;
  readonly #now: () => number;
  /** The one that was heard of longest ago first. */
  readonly #addresses = new Map<string, Address>();
  #quietUntil = -1;

  constructor({ log, now = () => performance.now() }: TokenAttemptsOptions) {
    this.#log = log;
    this.#now = now;
  }

  /** @throws ProblemError 429, without having looked whether it is right */
  check(address: string, digest: Buffer): void {
    const known = this.#addresses.get(blockOf(address));
    if (known === undefined || known.right.has(digest.toString('hex'))) return;
    this.#refill(known);
    if (known.left >= 1) return;
    this.#tell(address);
    throw new ProblemError(
      429,
      'ERR_TOO_MANY_GUESSES',
      'Too many tokens from this address were wrong; this one was not looked at.',
      { headers: { 'Retry-After': String(ONE_MORE_AFTER_MS / 1000) } },
    );
  }

  note(address: string, digest: Buffer, isRight: boolean): void {
    const block = blockOf(address);
    const known = this.#addresses.get(block) ?? this.#fresh();
    this.#addresses.delete(block);
    this.#addresses.set(block, known);
    if (isRight) {
      if (known.right.size >= MOST_RIGHT) known.right.clear();
      known.right.add(digest.toString('hex'));
    } else {
      this.#refill(known);
      known.left--;
    }
    if (this.#addresses.size <= MOST_ADDRESSES) return;
    for (const oldest of this.#addresses.keys()) {
      this.#addresses.delete(oldest);
      break;
    }
  }

  #fresh(): Address {
    return { left: MOST_WRONG, atMs: this.#now(), right: new Set() };
  }

  #refill(one: Address): void {
    const now = this.#now();
    one.left = Math.min(MOST_WRONG, one.left + (now - one.atMs) / ONE_MORE_AFTER_MS);
    one.atMs = now;
  }

  #tell(address: string): void {
    const now = this.#now();
    if (now < this.#quietUntil) return;
    this.#quietUntil = now + QUIET_MS;
    this.#log.warn(
      'admin.guessed',
      `wrong tokens for the admin API from ${address}: more are not looked at`,
      {
        address,
      },
    );
  }
}
