/** `fairlead try`: sends requests and shows who answered them, how, and how fast. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { createSecureContext, rootCertificates } from 'node:tls';
import { parseDuration } from '../config/values/duration.ts';
import { AdminError } from './admin/admin-client.ts';
import { ADMIN_FLAGS, readPems } from './admin/admin-command.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { Progress } from './terminal/progress.ts';
import { parseFlags, UsageError, wholeNumber, withUsageErrors } from './tool-flags.ts';
import type { TlsTerms } from './try/try-clients.ts';
import { jsonReport, textReport } from './try/try-report.ts';
import { emptyResult, runRequests, type TryOptions, type TryResult } from './try/try-run.ts';
import { Spread } from './try/try-spread.ts';

export const TRY = {
  name: 'try',
  usage: 'URL [-n 100] [-c 10] [options]',
  about:
    'Sends requests and shows their spread over the backends, status codes, errors and latency.',
  flags: {
    requests: { type: 'string', short: 'n', value: 'N', help: 'how many requests (100)' },
    concurrency: {
      type: 'string',
      short: 'c',
      value: 'N',
      help: 'over how many connections (10)',
    },
    method: {
      type: 'string',
      short: 'X',
      value: 'NAME',
      help: 'GET, or POST when there is a body',
    },
    body: { type: 'string', short: 'd', value: 'TEXT', help: 'the body of each request' },
    header: {
      type: 'string',
      short: 'H',
      multiple: true,
      value: '"N: V"',
      help: 'a header field; may be repeated',
    },
    cacert: {
      ...ADMIN_FLAGS.cacert,
      help: 'whose certificates are good (PEM), beside the authorities that Node trusts',
    },
    cert: {
      ...ADMIN_FLAGS.cert,
      help: 'with --key FILE: the certificate to show where one is asked for (PEM)',
    },
    key: ADMIN_FLAGS.key,
    insecure: { type: 'boolean', short: 'k', help: 'take any certificate' },
    http2: {
      type: 'boolean',
      help: 'HTTP/2, all over one connection; over http by prior knowledge (h2c)',
    },
    timeout: { type: 'string', value: 'TIME', help: 'for one request (30s)' },
    'by-header': {
      type: 'string',
      value: 'NAME',
      help: 'the response field that names the backend (default: the JSON of a sample backend,\nelse the counters of the admin API)',
    },
    admin: ADMIN_FLAGS.admin,
    token: ADMIN_FLAGS.token,
    config: { ...ADMIN_FLAGS.config, help: 'the config of the instance' },
    json: {
      type: 'boolean',
      help: 'as JSON: what came of it, counts by backend, status and error, and latencies',
    },
    ...HELP_FLAG,
  },
  examples: [
    'fairlead try http://localhost:8080/ -n 1000 -c 50',
    'fairlead try https://shop.localhost:8443/ --cacert ca.crt --cert me.crt --key me.key',
    "fairlead try :8080/cart -X PUT -d '{}' -H 'Content-Type: application/json' --json",
  ],
  exitCodes: '1 when a request got no complete response.',
} as const satisfies CommandSpec;

type Flags = ReturnType<typeof parseFlags<typeof TRY.flags>>['values'];

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function runTry(args: readonly string[]): Promise<number> {
  return withUsageErrors('try', async () => {
    const { values, positionals } = parseFlags(args, TRY.flags);
    if (values.help === true) {
      process.stdout.write(helpOf(TRY));
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
    tls: tlsOf(flags),
    isHttp2: flags.http2 ?? false,
    byHeader,
  };
}

/** Throws `UsageError`. */
function tlsOf(flags: Flags): TlsTerms {
  const { ca, cert, key } = readPems(flags, process.cwd());
  const tls: TlsTerms = {
    rejectUnauthorized: flags.insecure !== true,
    // What is trusted need not have signed itself.
    ...(ca !== undefined && { ca: [...rootCertificates, ca], allowPartialTrustChain: true }),
    ...(cert !== undefined && { cert, key }),
  };
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new UsageError(`--cacert, --cert, --key: ${(error as Error).message}`, { cause: error });
  }
  return tls;
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
  const progress = new Progress();
  progress.follow(() => howFar(options, result), 100);
  try {
    await runRequests(options, result, interruption.signal);
  } finally {
    process.off('SIGINT', interrupt);
    progress.end();
  }
  return result;
}

function howFar(options: TryOptions, result: TryResult): string {
  const done = result.completed + result.failed;
  const percent = Math.floor((100 * done) / options.requests);
  const failures = result.failed > 0 ? `, ${result.failed} failed` : '';
  return `${done} of ${options.requests} (${percent} %)${failures}`;
}
