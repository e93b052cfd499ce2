/**
 * A number of equal requests over a number of keep-alive connections, and what came of them. On node:http, not on
 * Fairlead's own data path: what tries the proxy out must not share its mistakes.
 */
import { Agent, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps, Agent as TlsAgent } from 'node:https';

export interface TryOptions {
  readonly url: URL;
  readonly requests: number;
  readonly connections: number;
  readonly method: string;
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: string | undefined;
  /** For one request, from its start to the end of its response. */
  readonly timeoutMs: number;
  /** Takes any certificate. */
  readonly isInsecure: boolean;
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
/** The echo of a sample backend is far smaller; of larger answers only the beginning is kept. */
const KEPT_BYTES = 64 * 1024;

/** Counts into `result` as it goes, so that a progress line can read it. Ends early when `signal` aborts. */
export async function runRequests(
  options: TryOptions,
  result: TryResult,
  signal: AbortSignal,
): Promise<void> {
  const agentOptions = { keepAlive: true, maxSockets: options.connections };
  const agent =
    options.url.protocol === 'https:'
      ? new TlsAgent({ ...agentOptions, rejectUnauthorized: !options.isInsecure })
      : new Agent(agentOptions);
  signal.addEventListener('abort', () => agent.destroy());
  const startedAt = performance.now();
  let left = options.requests;
  async function connection(): Promise<void> {
    while (left > 0 && !signal.aborted) {
      left--;
      await oneRequest(options, agent, result, signal);
      result.seconds = (performance.now() - startedAt) / 1000;
    }
  }
  const connections = Math.min(options.connections, options.requests);
  await Promise.all(Array.from({ length: connections }, connection));
  agent.destroy();
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
  agent: Agent,
  result: TryResult,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  try {
    const { response, text } = await exchange(options, agent);
    result.completed++;
    result.latenciesMs.push(performance.now() - startedAt);
    count(result.statuses, response.statusCode ?? 0);
    count(result.backends, backendOf(response, text, options.byHeader));
  } catch (error) {
    // A request that the user has interrupted is neither a success nor a failure.
    if (signal.aborted) return;
    result.failed++;
    const { code, message } = error as NodeJS.ErrnoException;
    count(result.errors, code ?? message);
  }
}

interface Exchanged {
  readonly response: IncomingMessage;
  /** The body, or the beginning of a long one. */
  readonly text: string;
}

function exchange(options: TryOptions, agent: Agent): Promise<Exchanged> {
  const send = options.url.protocol === 'https:' ? requestHttps : requestHttp;
  const request = send(options.url, { agent, method: options.method });
  for (const [name, values] of options.headers) request.setHeader(name, values);
  let timer: NodeJS.Timeout | undefined;
  const exchanged = new Promise<Exchanged>((resolve, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error('The request took too long.'), { code: 'TIMEOUT' }));
      request.destroy();
    }, options.timeoutMs);
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        if (length < KEPT_BYTES) chunks.push(chunk);
        length += chunk.length;
      });
      // A response that is cut off is an error here, never an end.
      response.on('error', reject);
      response.on('end', () => resolve({ response, text: Buffer.concat(chunks).toString() }));
    });
    request.end(options.body);
  });
  return exchanged.finally(() => clearTimeout(timer));
}

function backendOf(response: IncomingMessage, text: string, byHeader: string | undefined): string {
  if (byHeader !== undefined) {
    const value = response.headers[byHeader.toLowerCase()];
    return value === undefined ? UNKNOWN : String(value);
  }
  if (!/\bjson\b/.test(response.headers['content-type'] ?? '')) return UNKNOWN;
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
