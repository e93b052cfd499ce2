/** A number of equal requests, so many at once, and what came of them. */
import {
  type Answered,
  type Asked,
  Http1Client,
  Http2Client,
  type TryClient,
} from './try-clients.ts';

export interface TryOptions extends Asked {
  readonly requests: number;
  /** In HTTP/2, over one connection. */
  readonly isHttp2: boolean;
  /** The response field that names the backend; undefined: the JSON of a sample backend does. */
  readonly byHeader: string | undefined;
}

export interface TryResult {
  /** Complete responses, whatever their status. */
  completed: number;
  /** Requests without a complete response. */
  failed: number;
  readonly backends: Map<string, number>;
  /** They are from the counters of the admin API: requests of others count as well, and those that were tried twice. */
  isSpreadCounted: boolean;
  readonly statuses: Map<number, number>;
  readonly errors: Map<string, number>;
  /** Of the complete responses, in the order of their ends. */
  readonly latenciesMs: number[];
  seconds: number;
}

/** Of an answer that does not say who gave it. */
export const UNKNOWN = 'unknown';
/** Counts into `result` as it goes, so that a progress line can read it. Ends early when `signal` aborts. */
export async function runRequests(
  options: TryOptions,
  result: TryResult,
  signal: AbortSignal,
): Promise<void> {
  const client = options.isHttp2 ? new Http2Client(options) : new Http1Client(options);
  signal.addEventListener('abort', () => client.close());
  const startedAt = performance.now();
  let left = options.requests;
  async function connection(): Promise<void> {
    while (left > 0 && !signal.aborted) {
      left--;
      await oneRequest(options, client, result, signal);
      result.seconds = (performance.now() - startedAt) / 1000;
    }
  }
  const connections = Math.min(options.connections, options.requests);
  await Promise.all(Array.from({ length: connections }, connection));
  client.close();
}

export function emptyResult(): TryResult {
  return {
    completed: 0,
    failed: 0,
    backends: new Map(),
    isSpreadCounted: false,
    statuses: new Map(),
    errors: new Map(),
    latenciesMs: [],
    seconds: 0,
  };
}

async function oneRequest(
  options: TryOptions,
  client: TryClient,
  result: TryResult,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  try {
    const answered = await client.ask();
    result.completed++;
    result.latenciesMs.push(performance.now() - startedAt);
    count(result.statuses, answered.status);
    count(result.backends, backendOf(answered, options.byHeader));
  } catch (error) {
    // A request that the user has interrupted is neither a success nor a failure.
    if (signal.aborted) return;
    result.failed++;
    const { code, message } = error as NodeJS.ErrnoException;
    // Whoever speaks no TLS is told apart from whoever refuses ours: OpenSSL has one code for both.
    const isNoTls = code === 'EPROTO' && message.includes('wrong version number');
    count(result.errors, isNoTls ? 'ERR_SSL_WRONG_VERSION_NUMBER' : (code ?? message));
  }
}

function backendOf({ field, text }: Answered, byHeader: string | undefined): string {
  if (byHeader !== undefined) {
    return field(byHeader.toLowerCase()) ?? UNKNOWN;
  }
  if (!/\bjson\b/.test(field('content-type') ?? '')) return UNKNOWN;
  try {
    const echo: unknown = JSON.parse(text);
    if (typeof echo !== 'object' || echo === null) return UNKNOWN;
    const { name, address } = echo as { name?: unknown; address?: unknown };
    if (typeof name === 'string') return name;
    return typeof address === 'string' ? address : UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
