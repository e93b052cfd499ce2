/**
 * The last requests of a thread, for whoever asks why one of them failed: bounded in bytes, and each kind has its own share, so
 * that neither an attack nor good times push out what went wrong.
 *
 * Of those that went well, one in a while is kept: what is kept of a request lives long, which is dear.
 */
import { ERRORS } from '../../errors.ts';
import type { KeptRequest } from '../../snapshot/kept-request.ts';
import type { AccessLogEntry } from './access-log-entry.ts';
import { Redaction } from './redaction.ts';
import { MOST_LENGTH, recordOf } from './request-record.ts';

/** In so long, one that went well is kept, and so many of each other kind: in a flood, more would push out each other. */
const SAMPLE_MS = 100;
const MOST_A_SAMPLE = 50;
const ENTRY_BYTES = 1024;
const ATTEMPT_BYTES = 512;
/** In one answer. */
const MOST_SHOWN = 100;

interface Kept {
  readonly atMs: number;
  readonly bytes: number;
  readonly entry: AccessLogEntry;
}

/** The newest last. */
class Share {
  #kept: Kept[] = [];
  /** Those before it have been let go. */
  #first = 0;
  #bytes = 0;

  get all(): readonly Kept[] {
    return this.#kept.slice(this.#first);
  }

  add(kept: Kept, mostBytes: number): void {
    this.#kept.push(kept);
    this.#bytes += kept.bytes;
    while (this.#bytes > mostBytes && this.#first < this.#kept.length) {
      this.#bytes -= (this.#kept[this.#first++] as Kept).bytes;
    }
    if (2 * this.#first <= this.#kept.length) return;
    this.#kept = this.#kept.slice(this.#first);
    this.#first = 0;
  }

  clear(): void {
    this.#kept = [];
    this.#first = 0;
    this.#bytes = 0;
  }
}

export class LastRequests {
  /** A backend's doing, or ours: half of the room. */
  readonly #faults = new Share();
  /** The clients' own: a quarter. */
  readonly #refusals = new Share();
  /** The rest. */
  readonly #others = new Share();
  #mostBytes = 0;
  #nextSampleMs = 0;
  /** Of each kind, how many more may come before that. */
  #faultsLeft = 0;
  #refusalsLeft = 0;
  #othersLeft = 0;

  /** @param bytes 0: nothing is kept. */
  setLimit(bytes: number): void {
    this.#mostBytes = bytes;
    if (bytes > 0) return;
    for (const share of [this.#faults, this.#refusals, this.#others]) share.clear();
  }

  /** @param nowMs coarse. */
  note(entry: AccessLogEntry, nowMs: number): void {
    const { error, status } = entry;
    if (this.#mostBytes === 0) return;
    if (nowMs >= this.#nextSampleMs) {
      this.#nextSampleMs = nowMs + SAMPLE_MS;
      this.#faultsLeft = this.#refusalsLeft = MOST_A_SAMPLE;
      this.#othersLeft = 1;
    }
    if (error === null && status < 500) {
      if (this.#othersLeft-- > 0) this.#others.add(keep(entry), this.#mostBytes / 4);
    } else if (error !== null && ERRORS[error].source === 'client') {
      if (this.#refusalsLeft-- > 0) this.#refusals.add(keep(entry), this.#mostBytes / 4);
    } else if (this.#faultsLeft-- > 0) {
      this.#faults.add(keep(entry), this.#mostBytes / 2);
    }
  }

  /**
   * @param id of the one that is wanted; null: any.
   * @param redactedParameters as in `AccessLogRules`.
   * @returns the newest first.
   */
  find(id: string | null, thread: number, redactedParameters: readonly string[]): KeptRequest[] {
    const redaction = new Redaction(redactedParameters);
    return [this.#faults, this.#refusals, this.#others]
      .flatMap(({ all }) => all)
      .filter(({ entry }) => id === null || entry.requestId === id)
      .toSorted((a, b) => b.atMs - a.atMs)
      .slice(0, MOST_SHOWN)
      .map((kept) => shown(kept, thread, redaction));
  }
}

/** What it holds is its own: a text may be a part of a head that is let go. */
function keep(entry: AccessLogEntry): Kept {
  const host = own(entry.host);
  const path = own(entry.path);
  const errorDetail = own(entry.errorDetail) ?? '';
  const requestId = own(entry.requestId) ?? '';
  const lengths = (host?.length ?? 0) + (path?.length ?? 0) + errorDetail.length;
  return {
    atMs: Date.now(),
    bytes: ENTRY_BYTES + 2 * lengths + ATTEMPT_BYTES * entry.attempts.length,
    entry: {
      ...entry,
      host,
      path,
      errorDetail,
      requestId,
      trace: null,
      userAgent: null,
      referer: null,
      headers: [],
    },
  };
}

function own(text: string | null): string | null {
  return text === null ? null : Buffer.from(text.slice(0, MOST_LENGTH)).toString();
}

function shown({ atMs, entry }: Kept, thread: number, redaction: Redaction): KeptRequest {
  return { ...recordOf(entry, redaction), thread, atMs, part: entry.split };
}
