/** TLS sessions of backends, each kept for the next handshake with the same one: it is shorter by the certificate and its proof. */

/** Of one backend: about as many connections are opened at once. */
const MAX_PER_BACKEND = 8;
const MAX_BACKENDS = 1_000;

interface Session {
  readonly bytes: Buffer;
  readonly isSingleUse: boolean;
}

export class TlsSessions {
  /** Those that were used last come last. */
  readonly #sessions = new Map<string, Session[]>();

  /** @param key what the session was verified for. */
  keep(key: string, bytes: Buffer, isSingleUse: boolean): void {
    const known = this.#sessions.get(key);
    this.#sessions.delete(key);
    // A session that may be used again is as good as many.
    const kept = known === undefined || !isSingleUse ? [] : known;
    kept.push({ bytes, isSingleUse });
    if (kept.length > MAX_PER_BACKEND) kept.shift();
    this.#sessions.set(key, kept);
    if (this.#sessions.size <= MAX_BACKENDS) return;
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest);
      return;
    }
  }

  /** The latest. A ticket of TLS 1.3 is shown once, lest an observer tell that two connections are one client's: RFC 8446 §C.4. */
  take(key: string): Buffer | undefined {
    const kept = this.#sessions.get(key);
    const latest = kept?.at(-1);
    if (latest?.isSingleUse === true) kept?.pop();
    return latest?.bytes;
  }

  /** The backend has not been what was expected. */
  forget(key: string): void {
    this.#sessions.delete(key);
  }
}
