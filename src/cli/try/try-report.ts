/** What `fairlead try` says about its requests: for people, and as JSON. */
import { connectionFault } from '../connection-faults.ts';
import { NO_HTTP2 } from './try-http2-wire.ts';
import type { TryOptions, TryResult } from './try-run.ts';

/** What OpenSSL and Node call a certificate that they do not take. */
const REFUSED_CERTIFICATE = /^(DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CERT_|ERR_TLS_CERT_)/;

const PERCENTILES = { p50: 0.5, p90: 0.9, p99: 0.99, max: 1 } as const;

/** Nearest rank: the smallest value that at least this share of all values do not exceed. 0 without values. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

export function jsonReport(options: TryOptions, result: TryResult): string {
  const report = {
    url: options.url.href,
    requests: options.requests,
    concurrency: options.connections,
    completed: result.completed,
    failed: result.failed,
    seconds: rounded(result.seconds),
    requests_per_second: rounded(perSecond(result)),
    backends: Object.fromEntries(byKey(result.backends)),
    backends_by: result.isSpreadCounted ? 'admin-api' : 'answers',
    statuses: Object.fromEntries(byKey(result.statuses)),
    errors: Object.fromEntries(byKey(result.errors)),
    latency_ms: Object.fromEntries(latencies(result)),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

export function textReport(options: TryOptions, result: TryResult): string {
  const { completed, failed } = result;
  const lines = [
    `${completed + failed} requests to ${options.url.href} over ${wayOf(options)}`,
    `${completed} complete, ${failed} failed, ${result.seconds.toFixed(2)} s, ${perSecond(result).toFixed(0)} requests/s`,
    ...backendLines(result),
    ...table('Status codes', result.statuses, completed),
    ...table('Errors', result.errors, completed + failed),
  ];
  if ([...result.errors.keys()].some((code) => REFUSED_CERTIFICATE.test(code))) {
    lines.push(
      '  The certificate is not one to trust: --cacert FILE names who signed it; -k takes any.',
    );
  }
  lines.push(...faultLines(options, result));
  // One that hangs up on what it does not understand may do so before it has been heard.
  if (
    options.isHttp2 &&
    completed === 0 &&
    (result.errors.has(NO_HTTP2) || result.errors.has('EPIPE'))
  ) {
    lines.push(
      '  The server does not speak HTTP/2 there: over http it has to take it in the clear (h2c).',
    );
  }
  if (completed > 0) {
    lines.push('', 'Latency');
    for (const [name, ms] of latencies(result)) lines.push(`  ${name}  ${ms.toFixed(2)} ms`);
  }
  return `${lines.join('\n')}\n`;
}

/** What the codes mean that are nobody's words. Of a connection that was lost, where nothing at all came back. */
function faultLines({ url, isHttp2 }: TryOptions, { errors, completed }: TryResult): string[] {
  if (completed > 0 || isHttp2) return [];
  const faults = [...errors.keys()].map((code) => connectionFault(code, url.protocol === 'https:'));
  return [...new Set(faults)].flatMap((fault) =>
    fault === undefined ? [] : [`  ${sentence(fault.reason)}: ${fault.hint}`],
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function wayOf({ connections, isHttp2 }: TryOptions): string {
  return isHttp2 ? `one HTTP/2 connection, ${connections} at once` : `${connections} connections`;
}

function backendLines({ backends, completed, isSpreadCounted }: TryResult): string[] {
  if (!isSpreadCounted) return table('Backends', backends, completed);
  const all = [...backends.values()].reduce((sum, count) => sum + count, 0);
  const lines = table('Backends, by the counters of the admin API', backends, all);
  if (all !== completed) lines.push('  With what others sent meanwhile, and what was tried again.');
  return lines;
}

function table(title: string, counts: ReadonlyMap<string | number, number>, all: number): string[] {
  if (counts.size === 0) return [];
  const width = Math.max(...[...counts.keys()].map((key) => String(key).length));
  const rows = byKey(counts).map(([key, value]) => {
    const share = ((100 * value) / all).toFixed(1);
    return `  ${String(key).padEnd(width)}  ${String(value).padStart(8)}  ${share.padStart(5)} %`;
  });
  return ['', title, ...rows];
}

function byKey<K extends string | number>(counts: ReadonlyMap<K, number>): [K, number][] {
  const inOrder = new Intl.Collator('en', { numeric: true });
  return [...counts].toSorted(([a], [b]) => inOrder.compare(String(a), String(b)));
}

function latencies(result: TryResult): [name: string, ms: number][] {
  const sorted = result.latenciesMs.toSorted((a, b) => a - b);
  return Object.entries(PERCENTILES).map(([name, share]) => [
    name,
    rounded(percentile(sorted, share)),
  ]);
}

function perSecond(result: TryResult): number {
  return result.seconds > 0 ? result.completed / result.seconds : 0;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
