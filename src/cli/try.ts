/** `fairlead try`: sends requests and shows who answered them, how, and how fast. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { parseDuration } from '../config/duration.ts';
import { AdminError } from './admin-client.ts';
import { parseFlags, UsageError, wholeNumber, withUsageErrors } from './tool-flags.ts';
import { jsonReport, textReport } from './try-report.ts';
import { emptyResult, runRequests, type TryOptions, type TryResult } from './try-run.ts';
import { Spread } from './try-spread.ts';

export const TRY_USAGE = `Usage: fairlead try URL [-n 100] [-c 10] [options]

Sends requests and shows their spread over the backends, status codes, errors and latency.

  -n, --requests N      how many requests (100)
  -c, --concurrency N   over how many connections (10)
  -X, --method NAME     GET, or POST when there is a body
  -d, --body TEXT       the body of each request
  -H, --header "N: V"   a header field; may be repeated
  -k, --insecure        take any certificate
      --http2           HTTP/2, all over one connection; over http by prior knowledge (h2c)
      --timeout TIME    for one request (30s)
      --by-header NAME  the response field that names the backend (default: the JSON of a sample backend, else the
                        counters of the admin API)
      --admin URL       where that is (FAIRLEAD_ADMIN_URL; else as the config says; else http://127.0.0.1:9000)
      --token TOKEN     its token (FAIRLEAD_ADMIN_TOKEN; else as the config says)
      --config FILE     the config of the instance
      --json            the result as JSON
Exit code 1 when a request got no complete response.
`;

const FLAGS = {
  requests: { type: 'string', short: 'n' },
  concurrency: { type: 'string', short: 'c' },
  method: { type: 'string', short: 'X' },
  body: { type: 'string', short: 'd' },
  header: { type: 'string', short: 'H', multiple: true },
  insecure: { type: 'boolean', short: 'k' },
  http2: { type: 'boolean' },
  timeout: { type: 'string' },
  'by-header': { type: 'string' },
  admin: { type: 'string' },
  token: { type: 'string' },
  config: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Flags = ReturnType<typeof parseFlags<typeof FLAGS>>['values'];

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function runTry(args: readonly string[]): Promise<number> {
  return withUsageErrors('try', async () => {
    const { values, positionals } = parseFlags(args, FLAGS);
    if (values.help === true) {
      process.stdout.write(TRY_USAGE);
      return 0;
    }
    const options = optionsOf(values, positionals);
    const spread = await spreadBefore(values, options);
    const result = await runWithProgress(options);
    await spread?.complete(result);
    const report = values.json === true ? jsonReport : textReport;
    process.stdout.write(report(options, result));
    return result.failed > 0 || result.completed < options.requests ? 1 : 0;
  });
}

/** @throws UsageError when the admin API was named, and does not answer. */
async function spreadBefore(flags: Flags, { byHeader, url }: TryOptions): Promise<Spread | null> {
  if (byHeader !== undefined) return null;
  return Spread.begin(flags, url).catch((error: unknown) => {
    if (!(error instanceof AdminError)) throw error;
    throw new UsageError(error.message, { cause: error });
  });
}

function optionsOf(flags: Flags, positionals: readonly string[]): TryOptions {
  const [url, extra] = positionals;
  if (url === undefined)
    throw new UsageError('Which URL? For example: fairlead try http://localhost:8080/');
  if (extra !== undefined) throw new UsageError(`Unexpected argument "${extra}"`);
  const method = flags.method ?? (flags.body === undefined ? 'GET' : 'POST');
  if (!TOKEN.test(method)) throw new UsageError(`--method: "${method}" is not a method`);
  if (method === 'CONNECT')
    throw new UsageError('--method: CONNECT opens a tunnel and has no answer to wait for');
  const byHeader = flags['by-header'];
  if (byHeader !== undefined && !TOKEN.test(byHeader)) {
    throw new UsageError(`--by-header: "${byHeader}" is not a field name`);
  }
  const requests = wholeNumber('--requests', flags.requests ?? '100', 1, 10_000_000);
  return {
    url: urlOf(url),
    requests,
    connections: Math.min(
      requests,
      wholeNumber('--concurrency', flags.concurrency ?? '10', 1, 10_000),
    ),
    method,
    headers: fieldsOf(flags.header ?? []),
    body: flags.body,
    timeoutMs: timeoutOf(flags.timeout ?? '30s'),
    isInsecure: flags.insecure ?? false,
    isHttp2: flags.http2 ?? false,
    byHeader,
  };
}

/** As for a backend, `:8080` and `http://:8080` mean localhost, and http needs no mention. */
function urlOf(text: string): URL {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  let url: URL;
  try {
    url = new URL(withScheme.replace(/^(https?:\/\/)(?=:\d)/i, '$1localhost'));
  } catch (error) {
    throw new UsageError(`"${text}" is not a URL`, { cause: error });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new UsageError(
      `"${text}" has the scheme "${url.protocol.slice(0, -1)}"; only http and https are possible`,
    );
  }
  return url;
}

function fieldsOf(texts: readonly string[]): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (const text of texts) {
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    const value = text.slice(colon + 1).trim();
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch (error) {
      throw new UsageError(`--header must be "Name: value", not "${text}"`, { cause: error });
    }
    fields.set(name, [...(fields.get(name) ?? []), value]);
  }
  return fields;
}

function timeoutOf(text: string): number {
  const duration = parseDuration(text);
  if (!duration.ok) throw new UsageError(`--timeout: ${duration.reason}`);
  if (duration.ms === 0) throw new UsageError('--timeout must be longer than nothing');
  return duration.ms;
}

/** Ctrl-C ends the run early; what was done until then is reported. */
async function runWithProgress(options: TryOptions): Promise<TryResult> {
  const result = emptyResult();
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  process.once('SIGINT', interrupt);
  const timer = process.stderr.isTTY ? setInterval(showProgress, 100, options, result) : undefined;
  try {
    await runRequests(options, result, interruption.signal);
  } finally {
    process.off('SIGINT', interrupt);
    if (timer !== undefined) {
      clearInterval(timer);
      process.stderr.write('\r\u001B[K');
    }
  }
  return result;
}

function showProgress(options: TryOptions, result: TryResult): void {
  const done = result.completed + result.failed;
  const percent = Math.floor((100 * done) / options.requests);
  const failures = result.failed > 0 ? `, ${result.failed} failed` : '';
  process.stderr.write(`\r\u001B[K${done} of ${options.requests} (${percent} %)${failures}`);
}
