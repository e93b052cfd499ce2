/**
 * The access log: one line per exchange, gathered in shared memory and handed to the control plane in batches. The data thread
 * never writes to a disk or a pipe.
 *
 * Lines are ASCII: everything else is escaped, so a client can't forge a line or break a terminal.
 */
import { type AccessLogRules, ALL } from '../../snapshot/access-log-rules.ts';
import { LOG_BLOCK_BYTES, LogRing } from '../../snapshot/log-ring.ts';
import type { PostToControl } from '../../snapshot/messages.ts';
import type { ProcessCounters } from '../../snapshot/process-counters.ts';
import { Chance } from '../balance/chance.ts';
import type { AccessLogEntry, AttemptRecord, HeaderValue } from './access-log-entry.ts';
import { writeCombined } from './combined-line.ts';
import { JsonLine } from './json-line.ts';
import { LineWriter, mostBytes } from './line-writer.ts';
import { Redaction } from './redaction.ts';

/** From here on a status is an error of somebody's; 499 (nothing sent) among them. */
const FIRST_FAILURE = 400;

/** Everything of a line but its texts. */
const FIXED_BYTES = 1024;
const PER_ATTEMPT_BYTES = 320;
/** The key and its quotes. */
const PER_HEADER_BYTES = 16;

export class AccessLog {
  readonly #ring: LogRing;
  readonly #post: PostToControl;
  readonly #counters: ProcessCounters;
  /** The block that is being filled; −1 when there was none to have. */
  #block = -1;
  #bytes: Buffer | null = null;
  #length = 0;
  #count = 0;
  readonly #line = new LineWriter();
  /** Of the last line: nearly always those of the next. */
  #rules: AccessLogRules | null = null;
  #redaction = new Redaction([]);
  readonly #json = new JsonLine(this.#line, this.#redaction);
  readonly #chance: Chance;

  /** @param random uniform in [0, 1). */
  constructor(
    ring: SharedArrayBuffer,
    post: PostToControl,
    counters: ProcessCounters,
    random: () => number,
  ) {
    this.#chance = new Chance(random);
    this.#ring = new LogRing(ring);
    this.#post = post;
    this.#counters = counters;
  }

  record(entry: AccessLogEntry, rules: AccessLogRules): void {
    if (rules.share < ALL && this.#isLeftOut(entry, rules)) return;
    if (rules !== this.#rules) this.#adopt(rules);
    const path = this.#withoutSecrets(entry.path);
    const referer = this.#withoutSecrets(entry.referer);
    if (this.#length + mostLineBytes(entry, path, referer) > LOG_BLOCK_BYTES) this.flush();
    const bytes = this.#bytes ?? this.#takeBlock();
    if (bytes === null) {
      this.#counters.logLinesDropped(1);
      return;
    }
    this.#line.begin(bytes, this.#length);
    if (rules.format === 'json') this.#json.write(entry, path);
    else writeCombined(this.#line, entry, path, referer);
    if (this.#line.position > LOG_BLOCK_BYTES) {
      // No text is that long, and what was written past the end went nowhere.
      this.#counters.logLinesDropped(1);
      return;
    }
    this.#length = this.#line.position;
    this.#count++;
  }

  /** Hands over what has gathered; called by the thread's tick and when the block is full. */
  flush(): void {
    if (this.#count === 0) return;
    const message = {
      kind: 'access-log',
      block: this.#block,
      length: this.#length,
      count: this.#count,
    } as const;
    this.#bytes = null;
    this.#length = 0;
    this.#count = 0;
    this.#post(message);
  }

  #takeBlock(): Buffer | null {
    this.#block = this.#ring.take();
    this.#bytes = this.#block === -1 ? null : this.#ring.bytes(this.#block, LOG_BLOCK_BYTES);
    return this.#bytes;
  }

  /** Of what went well, and was not slow, a share is enough. */
  #isLeftOut(entry: AccessLogEntry, { share, slowMs }: AccessLogRules): boolean {
    return wentWell(entry) && entry.durationMs < slowMs && this.#chance.below(ALL) >= share;
  }

  /** Made once for each snapshot, not for each line. */
  #adopt(rules: AccessLogRules): void {
    this.#rules = rules;
    this.#redaction = new Redaction(rules.redactedParameters);
    this.#json.adopt(rules, this.#redaction);
  }

  #withoutSecrets(target: string | null): string | null {
    return target === null ? null : this.#redaction.of(target);
  }
}

/** Nobody will ask what became of it. */
function wentWell({ status, grpcStatus, ended, error, attempts }: AccessLogEntry): boolean {
  if (status >= FIRST_FAILURE || grpcStatus > 0 || ended !== null || error !== null) return false;
  return attempts.length <= 1;
}

/** An upper bound: what a line needs if every character of it has to be escaped. */
function mostLineBytes(entry: AccessLogEntry, path: string | null, referer: string | null): number {
  let bytes =
    FIXED_BYTES +
    entry.clientAddress.length +
    entry.requestId.length +
    entry.pool.length +
    mostBytes(entry.method) +
    mostBytes(entry.host) +
    mostBytes(path) +
    mostBytes(entry.route) +
    mostBytes(entry.split) +
    mostBytes(entry.errorDetail) +
    mostBytes(entry.userAgent) +
    mostBytes(referer) +
    mostBytes(entry.backendUrl);
  for (let index = 0; index < entry.attempts.length; index++) {
    bytes += PER_ATTEMPT_BYTES + (entry.attempts[index] as AttemptRecord).backendUrl.length;
  }
  for (let index = 0; index < entry.headers.length; index++) {
    const { name, value } = entry.headers[index] as HeaderValue;
    bytes += PER_HEADER_BYTES + name.length + mostBytes(value);
  }
  return bytes;
}
