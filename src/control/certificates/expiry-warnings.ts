/** Says once a day which certificates end soon, from 21 days on: whoever should have renewed them has not. */
import type { Logger } from '../../observe/logger.ts';
import type { Own } from './read-again.ts';

const LOOK_EVERY_MS = 3_600_000;
const DAY_MS = 24 * LOOK_EVERY_MS;
const WARN_FROM_MS = 21 * DAY_MS;

export class ExpiryWarnings {
  readonly #log: Logger;
  readonly #all: () => readonly Own[];
  readonly #now: () => number;
  /** By fingerprint: when it was last said. */
  readonly #said = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger, all: () => readonly Own[], now: () => number = Date.now) {
    this.#log = log;
    this.#all = all;
    this.#now = now;
  }

  begin(): void {
    this.look();
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  look(): void {
    const nowMs = this.#now();
    const all = this.#all();
    for (const one of all) this.#lookAt(one, nowMs);
    const present = new Set(all.map(({ facts }) => facts.fingerprint));
    for (const fingerprint of this.#said.keys()) {
      if (!present.has(fingerprint)) this.#said.delete(fingerprint);
    }
  }

  #lookAt({ certFile, facts }: Own, nowMs: number): void {
    const leftMs = facts.notAfterMs - nowMs;
    const saidMs = this.#said.get(facts.fingerprint);
    if (leftMs > WARN_FROM_MS || (saidMs !== undefined && nowMs - saidMs < DAY_MS)) return;
    this.#said.set(facts.fingerprint, nowMs);
    const names = facts.names.join(', ');
    const whose = names === '' ? '' : ` (${names})`;
    const expires = new Date(facts.notAfterMs).toISOString();
    const days = Math.floor(Math.abs(leftMs) / DAY_MS);
    const length = days === 1 ? '1 day' : `${days} days`;
    const what = leftMs < 0 ? `expired ${length} ago` : `expires in ${length}`;
    this.#log.warn(
      'certificate.expires',
      `the certificate in ${certFile}${whose} ${what}, on ${expires.slice(0, 10)}`,
      { file: certFile, names: facts.names, expires, days_left: Math.floor(leftMs / DAY_MS) },
    );
  }
}
