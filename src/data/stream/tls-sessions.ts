/**
 * TLS sessions of backends, kept for the next handshakes with the same one: those are shorter by the certificate and its proof.
 *
 * One is taken, and given back once it has been resumed, behind those that have not been used yet. A client should show a
 * ticket of TLS 1.3 but once, lest an observer tell that two connections are one client's (RFC 8446 §C.4): of ours with a backend,
 * whoever sees them knows that by the addresses. And Node, as a backend, gives none to who resumes.
 */

/** Of one backend: about as many connections are opened at once. */
const MAX_PER_BACKEND = 8;
const MAX_BACKENDS = 1_000;

interface Session {
  readonly bytes: Buffer;
  /** TLS 1.3: of several each is good for a connection at the same time. */
  readonly isTicket: boolean;
}

export class TlsSessions {
  /** Those that were used last come last. */
  readonly #sessions = new Map<string, Session[]>();

  /** @param key what the session was verified for. */
  keep(key: string, bytes: Buffer, isTicket: boolean): void {
    const known = this.#sessions.get(key);
    this.#sessions.delete(key);
    // A session that may be used by any number at once is as good as many.
    const kept = known === undefined || !isTicket ? [] : known;
    kept.push({ bytes, isTicket });
    if (kept.length > MAX_PER_BACKEND) kept.shift();
    this.#sessions.set(key, kept);
    if (this.#sessions.size <= MAX_BACKENDS) return;
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest);
      return;
    }
  }

  /** The latest. */
  take(key: string): Buffer | undefined {
    const kept = this.#sessions.get(key);
    const latest = kept?.at(-1);
    if (latest?.isTicket === true) kept?.pop();
    return latest?.bytes;
  }

  /** A ticket that was taken and has proved good: for when there is no other. */
  giveBack(key: string, bytes: Buffer): void {
    const kept = this.#sessions.get(key);
    if (kept === undefined) this.keep(key, bytes, true);
    else if (kept.length < MAX_PER_BACKEND) kept.unshift({ bytes, isTicket: true });
  }

  /** The backend has not been what was expected. */
  forget(key: string): void {
    this.#sessions.delete(key);
  }
}
