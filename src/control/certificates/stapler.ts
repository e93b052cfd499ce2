/**
 * OCSP answers for the certificates that ask for them (RFC 7633, "must-staple"): fetched from their issuer's responder, checked, and given
 * to data threads, which staple them (RFC 6066 §8). One that is good stays in use until it ends, whatever becomes of its successor,
 * and no longer.
 */
import http from 'node:http';
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import type { Logger } from '../../observe/logger.ts';
import { type Issued, issuedIn, ocspRequest, readOcspAnswer } from './ocsp.ts';
import type { Staples } from './tls-snapshot.ts';

const MINUTE_MS = 60_000;
const SOONEST_MS = 5 * MINUTE_MS;
const LATEST_MS = 12 * 60 * MINUTE_MS;
/** Answers end by the clock, which may be set, and goes on while the machine is asleep; a timer does neither. */
const LOOK_EVERY_MS = MINUTE_MS;
const FIRST_RETRY_MS = MINUTE_MS;
const LAST_RETRY_MS = 60 * MINUTE_MS;
const FETCH_MS = 10_000;
const MOST_BYTES = 64 * 1024;

interface Entry {
  readonly certificate: Certificate;
  /** Of the next request; undefined: one is under way. */
  timer: NodeJS.Timeout | undefined;
  retryMs: number;
  answer: Buffer | undefined;
  goodUntilMs: number;
  askedAtMs: number;
}

/** @throws Error that says what has gone wrong */
export type Fetch = (url: string, issued: Issued, stop: AbortSignal) => Promise<Buffer>;

export interface StaplerOptions {
  readonly log: Logger;
  /** There are other answers than before. */
  readonly publish: (staples: Staples) => void;
  readonly fetch?: Fetch;
}

export class Stapler {
  readonly #log: Logger;
  readonly #publish: StaplerOptions['publish'];
  readonly #fetch: Fetch;
  readonly #entries = new Map<string, Entry>();
  readonly #abort = new AbortController();
  /** Of the next look at what has ended. */
  #ends: NodeJS.Timeout | undefined;

  constructor({ log, publish, fetch = fetchAnswer }: StaplerOptions) {
    this.#log = log;
    this.#publish = publish;
    this.#fetch = fetch;
  }

  /** Looks after these from now on. */
  sync(certificates: readonly Certificate[]): void {
    if (this.#abort.signal.aborted) return;
    const wanted = new Map(
      certificates
        .filter(({ facts }) => facts.mustStaple)
        .map((one) => [one.facts.fingerprint, one] as const),
    );
    for (const [fingerprint, { timer }] of this.#entries) {
      if (wanted.has(fingerprint)) continue;
      clearTimeout(timer);
      this.#entries.delete(fingerprint);
    }
    for (const [fingerprint, certificate] of wanted) {
      if (this.#entries.has(fingerprint)) continue;
      const entry: Entry = {
        certificate,
        timer: undefined,
        retryMs: FIRST_RETRY_MS,
        answer: undefined,
        goodUntilMs: 0,
        askedAtMs: 0,
      };
      this.#entries.set(fingerprint, entry);
      void this.#renew(entry);
    }
  }

  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#ends);
    for (const { timer } of this.#entries.values()) clearTimeout(timer);
  }

  async #renew(entry: Entry): Promise<void> {
    const { certFile, cert, facts } = entry.certificate;
    entry.timer = undefined;
    entry.askedAtMs = Date.now();
    let againMs = entry.retryMs;
    try {
      const issued = issuedIn(cert);
      if (issued === undefined) throw new Error('the certificate of its issuer is not in the file');
      if (facts.ocspUrl === undefined) throw new Error('it names no responder');
      const answer = await this.#fetch(facts.ocspUrl, issued, this.#abort.signal);
      const nowMs = Date.now();
      const { nextUpdateMs } = readOcspAnswer(answer, issued, nowMs);
      const isOther = entry.answer?.equals(answer) !== true;
      entry.answer = answer;
      entry.goodUntilMs = nextUpdateMs;
      entry.retryMs = FIRST_RETRY_MS;
      againMs = Math.min(LATEST_MS, Math.max(SOONEST_MS, (nextUpdateMs - nowMs) / 2));
      if (isOther && this.#entries.get(facts.fingerprint) === entry) this.#publishAll();
      this.#dropEnded();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      entry.retryMs = Math.min(2 * entry.retryMs, LAST_RETRY_MS);
      const { message } = error as Error;
      const until =
        entry.goodUntilMs > Date.now() ? new Date(entry.goodUntilMs).toISOString() : undefined;
      const meanwhile =
        until === undefined
          ? 'clients may refuse the certificate'
          : `the one there is good until ${until}`;
      this.#log.warn('ocsp.failed', `no OCSP answer for ${certFile}: ${message}; ${meanwhile}`, {
        file: certFile,
        ...(facts.ocspUrl !== undefined && { responder: facts.ocspUrl }),
      });
    }
    if (this.#entries.get(facts.fingerprint) !== entry) return;
    entry.timer = setTimeout(() => void this.#renew(entry), againMs);
    entry.timer.unref();
  }

  /** An answer that has ended is worse than none: RFC 6960 §4.2.2.1. */
  #dropEnded(): void {
    clearTimeout(this.#ends);
    if (this.#abort.signal.aborted) return;
    const nowMs = Date.now();
    let soonestMs = Infinity;
    let hasDropped = false;
    for (const entry of this.#entries.values()) {
      if (entry.answer === undefined) continue;
      if (entry.goodUntilMs > nowMs) {
        soonestMs = Math.min(soonestMs, entry.goodUntilMs - nowMs);
        continue;
      }
      entry.answer = undefined;
      hasDropped = true;
      // It was to be renewed long before, but for a clock that has leapt, or an answer that was good for minutes.
      if (entry.timer !== undefined && nowMs - entry.askedAtMs >= MINUTE_MS) {
        clearTimeout(entry.timer);
        void this.#renew(entry);
      }
    }
    if (hasDropped) this.#publishAll();
    if (soonestMs === Infinity) return;
    this.#ends = setTimeout(() => this.#dropEnded(), Math.min(soonestMs, LOOK_EVERY_MS));
    this.#ends.unref();
  }

  #publishAll(): void {
    const staples = new Map<string, Uint8Array>();
    for (const [fingerprint, { answer }] of this.#entries) {
      if (answer !== undefined) staples.set(fingerprint, answer);
    }
    this.#publish(staples);
  }
}

/** RFC 6960 §A.1. Nothing is followed, and nothing that is long or late is waited for. */
function fetchAnswer(url: string, issued: Issued, stop: AbortSignal): Promise<Buffer> {
  const body = ocspRequest(issued);
  const signal = AbortSignal.any([stop, AbortSignal.timeout(FETCH_MS)]);
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/ocsp-request', 'Content-Length': body.length };
    const request = http.request(url, { method: 'POST', headers, agent: false, signal });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= MOST_BYTES) chunks.push(chunk);
        else response.destroy(new Error(`the answer is longer than ${MOST_BYTES} bytes`));
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks));
        else reject(new Error(`the responder answers ${response.statusCode}`));
      });
    });
    request.end(body);
  });
}
