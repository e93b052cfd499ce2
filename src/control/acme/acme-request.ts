/** One request to an authority, on a connection of its own: bounded in time and size. A redirect is no answer. */

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import https from 'node:https';
import { readNamedFile } from '../../config/read/named-file.ts';
import { VERSION } from '../version.ts';

const TIMEOUT_MS = 30_000;
const LARGEST_ANSWER_BYTES = 1024 * 1024;
const LARGEST_FILE_BYTES = 1024 * 1024;

export interface AcmeRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: string;
  /** JWS; undefined: none. */
  readonly body?: string;
  /** Empty: the authorities that Node trusts. */
  readonly caFile: string;
  readonly signal: AbortSignal;
  /** Of all of it. */
  readonly timeoutMs?: number;
}

export interface AcmeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** @throws Error, with a reason for people */
export async function ask(request: AcmeRequest): Promise<AcmeAnswer> {
  const { method, url, signal, timeoutMs = TIMEOUT_MS } = request;
  const own = new AbortController();
  const onAbort = (): void => own.abort();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    own.abort();
  }, timeoutMs);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) own.abort();
  try {
    const response = await open(request, own.signal);
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: await textOf(response),
    };
  } catch (error) {
    const reason = isLate ? `no answer within ${timeoutMs / 1000} s` : (error as Error).message;
    throw new Error(`${method} ${url}: ${reason}`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function open(
  { method, url, body, caFile }: AcmeRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    if (!url.startsWith('https://'))
      throw new Error('the authority names a place that is not https');
    const request = https.request(url, {
      method,
      agent: false,
      signal,
      // RFC 8555 §6.1
      headers: {
        'User-Agent': `fairlead/${VERSION}`,
        'Accept-Language': 'en',
        ...(body !== undefined && { 'Content-Type': 'application/jose+json' }),
      },
      // When it is needed: who renews it does not tell.
      ...(caFile !== '' && { ca: textOfFile(caFile) }),
    });
    request.on('response', resolve);
    request.on('error', reject);
    request.end(body);
  });
}

function textOfFile(file: string): string {
  const read = readNamedFile(file, LARGEST_FILE_BYTES);
  if ('fault' in read) throw new Error(read.fault);
  return read.bytes.toString();
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > LARGEST_ANSWER_BYTES) throw new Error('it answers more than 1 MiB');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** RFC 9110 §10.2.3: seconds, or a date. @returns undefined: it says nothing, or nothing sane. */
export function retryAfterMs(
  { 'retry-after': text }: IncomingHttpHeaders,
  nowMs: number,
): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const ms = Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
