/**
 * Spans on their way to a collector: in batches, one at a time, within a bound. A collector that is slow or away costs spans, which
 * are counted and told of once a minute at most, and nothing else.
 */
import type { Logger } from '../../observe/logger.ts';
import type { Span } from '../../observe/spans.ts';

/** What comes of an export: 0 is success, as in @opentelemetry/core. */
interface ExportResult {
  readonly code: number;
  readonly error?: Error;
}

/** What this needs of a `SpanExporter` of OpenTelemetry. */
export interface SpanExporter {
  export(spans: readonly Span[], done: (result: ExportResult) => void): void;
  shutdown(): Promise<void>;
}

const MOST_WAITING = 8192;
const MOST_IN_BATCH = 512;
/** So long, a batch that is not full waits for more. */
const BATCH_MS = 1000;
const TELL_EVERY_MS = 60_000;

/** Of all queues that a process has had. */
export interface SpanCounts {
  exported: number;
  /** There was no room for them, or no time. */
  dropped: number;
  /** The collector has not taken them, though it was tried again. */
  failed: number;
}

export class SpanQueue {
  readonly #exporter: Promise<SpanExporter | null>;
  readonly #counts: SpanCounts;
  readonly #log: Logger;
  #waiting: Span[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isExporting = false;
  #isClosing = false;
  #toldAt = Number.NEGATIVE_INFINITY;
  #whenEmpty: () => void = () => {};

  /** @param exporter null: it can't be had, and why has been told. */
  constructor(exporter: Promise<SpanExporter | null>, counts: SpanCounts, log: Logger) {
    this.#exporter = exporter;
    this.#counts = counts;
    this.#log = log;
  }

  add(spans: readonly Span[]): void {
    const room = MOST_WAITING - this.#waiting.length;
    this.#counts.dropped += Math.max(0, spans.length - room);
    this.#waiting.push(...spans.slice(0, room));
    if (this.#waiting.length >= MOST_IN_BATCH) void this.#export();
    else this.#wait();
  }

  /** Exports what waits; what has not left by the deadline is lost, and counted. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosing = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
    });
    void this.#export();
    await Promise.race([empty, late]);
    this.#counts.dropped += this.#waiting.length;
    this.#waiting = [];
    // It waits for what is on its way, which may be long.
    await Promise.race([this.#shutdown(), late]);
    clearTimeout(timer);
  }

  #wait(): void {
    this.#timer ??= setTimeout(() => void this.#export(), BATCH_MS).unref();
  }

  async #export(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isExporting) return;
    this.#isExporting = true;
    const exporter = await this.#exporter;
    // Full batches, and before them what waited when this began; where nothing more will come, all of it.
    do {
      const batch = this.#waiting.splice(0, MOST_IN_BATCH);
      if (exporter === null) this.#counts.dropped += batch.length;
      else if (batch.length > 0) await this.#exportBatch(exporter, batch);
    } while (this.#waiting.length >= (this.#isClosing ? 1 : MOST_IN_BATCH));
    this.#isExporting = false;
    if (this.#waiting.length === 0) this.#whenEmpty();
    else this.#wait();
  }

  async #exportBatch(exporter: SpanExporter, batch: readonly Span[]): Promise<void> {
    const { code, error } = await new Promise<ExportResult>((resolve) => {
      exporter.export(batch, resolve);
    });
    if (code === 0) {
      this.#counts.exported += batch.length;
      return;
    }
    this.#counts.failed += batch.length;
    const nowMs = performance.now();
    if (nowMs - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = nowMs;
    const reason = error?.message ?? 'no reason was given';
    const message = `the collector does not take spans (tracing.endpoint): ${reason}; they are lost, and requests go on`;
    this.#log.error('tracing.failed', message, { spans: batch.length });
  }

  async #shutdown(): Promise<void> {
    try {
      await (await this.#exporter)?.shutdown();
    } catch {
      // Nothing is left that it could lose.
    }
  }
}
