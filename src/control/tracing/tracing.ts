/** What data threads have recorded, made into spans, and sent to the collector that the settings name. */
import { EXPORTER_PACKAGE } from '../../config/compile/compile-tracing.ts';
import type { Settings, TracingSettings } from '../../config/settings.ts';
import { isSame } from '../../config/values/same.ts';
import type { Logger } from '../../observe/logger.ts';
import { type SpanSource, spansOf } from '../../observe/spans.ts';
import type { TracedExchange } from '../../snapshot/traced-exchange.ts';
import { VERSION } from '../version.ts';
import { type SpanCounts, type SpanExporter, SpanQueue } from './span-queue.ts';

/** For what an exporter that is left has still to send. */
const LEFT_MS = 5000;

export class Tracing {
  readonly counts: SpanCounts = { exported: 0, dropped: 0, failed: 0 };
  readonly #log: Logger;
  #settings: TracingSettings | null = null;
  #queue: SpanQueue | null = null;
  #source: SpanSource = sourceOf(undefined);

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The settings may have become others. The package is loaded only where they ask for it. */
  sync({ tracing }: Settings): void {
    if (isSame(tracing, this.#settings)) return;
    this.#settings = tracing;
    void this.#queue?.close(LEFT_MS);
    this.#queue =
      tracing === null
        ? null
        : new SpanQueue(createExporter(tracing, this.#log), this.counts, this.#log);
    this.#source = sourceOf(tracing?.serviceName);
  }

  /** Nobody asks any more for those that end after tracing was turned off. */
  take(exchanges: readonly TracedExchange[]): void {
    const queue = this.#queue;
    if (queue === null) return;
    for (const exchange of exchanges) queue.add(spansOf(exchange, this.#source));
  }

  async close(deadlineMs: number): Promise<void> {
    const queue = this.#queue;
    this.#queue = null;
    await queue?.close(deadlineMs);
  }
}

function sourceOf(serviceName: string | undefined): SpanSource {
  const name = serviceName ?? process.env['OTEL_SERVICE_NAME'] ?? '';
  return {
    resource: {
      attributes: { 'service.name': name === '' ? 'fairlead' : name, 'service.version': VERSION },
    },
    instrumentationScope: { name: 'fairlead', version: VERSION },
  };
}

interface ExporterModule {
  readonly OTLPTraceExporter: new (options: {
    readonly url?: string;
    readonly headers: Readonly<Record<string, string>>;
  }) => SpanExporter;
}

/** Null: it can't be loaded, which is told. */
async function createExporter(
  { endpoint, headers }: TracingSettings,
  log: Logger,
): Promise<SpanExporter | null> {
  try {
    const { OTLPTraceExporter } = (await import(EXPORTER_PACKAGE)) as ExporterModule;
    return new OTLPTraceExporter({
      ...(endpoint !== undefined && { url: endpoint }),
      headers: Object.fromEntries(headers),
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error('tracing.failed', `no traces: ${EXPORTER_PACKAGE} can't be loaded: ${reason}`);
    return null;
  }
}
