/**
 * GETs of the APIs that sources ask, on a connection of their own each: bounded in time and in size, by TCP, TLS or a Unix socket. A
 * redirect is no answer: credentials go to the address in the config, and to no other.
 */
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { StringDecoder } from 'node:string_decoder';
import type { ApiEndpoint } from '../../config/discovery-settings.ts';
import { readNamedFile } from '../../config/read/named-file.ts';

const LARGEST_ANSWER_BYTES = 8 * 1024 * 1024;
const LARGEST_FILE_BYTES = 1024 * 1024;
const LONGEST_EXPLANATION = 200;
/** A peer that has gone without a word is noticed, though nobody has anything to say. */
const KEEP_ALIVE_MS = 15_000;

export interface ApiRequest {
  readonly endpoint: ApiEndpoint;
  /** With the query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** To the end of the answer; of a stream, to its head. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface ApiAnswer {
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** It answers something else than 200. */
export class ApiRefusal extends Error {
  readonly status: number;

  constructor(path: string, status: number, text: string) {
    const said = text.slice(0, LONGEST_EXPLANATION).trim();
    super(`GET ${path.replace(/\?.*$/, '')}: ${status}${said === '' ? '' : ` (${said})`}`);
    this.status = status;
  }
}

/** @throws Error, with a reason for people; ApiRefusal */
export async function askApi(request: ApiRequest): Promise<ApiAnswer> {
  return within(request, async (signal) => {
    const response = await open(request, signal);
    const text = await textOf(response);
    if (response.statusCode !== 200) {
      throw new ApiRefusal(request.path, response.statusCode ?? 0, text);
    }
    return { headers: response.headers, text };
  });
}

/**
 * Lines of an answer that goes on, each complete: what is cut off in the middle of one is none. Resolves when it ends, however.
 * @param longestMs of all of it
 * @throws as askApi, before the first line; Error where a line is too long, or `onLine` throws
 */
export async function followApi(
  request: ApiRequest,
  {
    longestMs,
    onOpen,
    onLine,
  }: {
    readonly longestMs: number;
    readonly onOpen: () => void;
    readonly onLine: (line: string) => void;
  },
): Promise<void> {
  const response = await within(request, async (signal) => {
    const opened = await open(request, signal);
    if (opened.statusCode === 200) return opened;
    throw new ApiRefusal(request.path, opened.statusCode ?? 0, await textOf(opened));
  });
  const end = (): void => void response.destroy();
  const timer = setTimeout(end, longestMs);
  request.signal.addEventListener('abort', end, { once: true });
  try {
    onOpen();
    await eachLine(response, onLine);
  } finally {
    clearTimeout(timer);
    request.signal.removeEventListener('abort', end);
    end();
  }
}

/** A wait that ends early when the source does. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    timer.unref();
    if (signal.aborted) done();
    else signal.addEventListener('abort', done, { once: true });
  });
}

/** @throws Error @returns what a file of the config holds now */
export function textOfFile(file: string): string {
  const read = readNamedFile(file, LARGEST_FILE_BYTES);
  if ('fault' in read) throw new Error(read.fault);
  return read.bytes.toString();
}

/** What is not over in time fails. */
async function within<Result>(
  { timeoutMs, signal, path }: ApiRequest,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const own = new AbortController();
  const onAbort = (): void => own.abort();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    own.abort();
  }, timeoutMs);
  if (signal.aborted) own.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await run(own.signal);
  } catch (error) {
    if (!isLate) throw error;
    const what = `GET ${path.replace(/\?.*$/, '')}`;
    throw new Error(`${what}: no answer within ${timeoutMs / 1000} s`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function open(
  { endpoint, path, headers = {} }: ApiRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { tls, host, port, socketPath, caFile, certFile, keyFile } = endpoint;
    const options: https.RequestOptions = {
      path,
      headers: { ...headers, Accept: 'application/json', 'User-Agent': 'fairlead' },
      agent: false,
      // Its end is seen on the answer: an abort would take a stream away from its reader as an error.
      ...(socketPath === '' ? { host, port } : { socketPath }),
    };
    if (tls) {
      // Whenever they are needed: who renews them does not tell.
      if (caFile !== '') options.ca = textOfFile(caFile);
      if (certFile !== '') options.cert = textOfFile(certFile);
      if (keyFile !== '') options.key = textOfFile(keyFile);
    }
    const request = (tls ? https : http).request(options);
    const cut = (): void => void request.destroy(new Error('stopped'));
    signal.addEventListener('abort', cut, { once: true });
    request.on('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
    request.on('response', resolve);
    request.on('error', reject);
    request.end();
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > LARGEST_ANSWER_BYTES) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

async function eachLine(response: IncomingMessage, onLine: (line: string) => void): Promise<void> {
  const decoder = new StringDecoder();
  let held = '';
  let fault: Error | undefined;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      const text = decoder.write(part);
      // What was looked at before has no end of a line: to look again would cost more with each part.
      const end = text.lastIndexOf('\n');
      const lines = end === -1 ? [] : (held + text.slice(0, end)).split('\n');
      held = end === -1 ? held + text : text.slice(end + 1);
      if (held.length > LARGEST_ANSWER_BYTES) fault = tooLarge();
      for (const line of lines) if (line.trim() !== '') onLine(line);
      if (fault !== undefined) throw fault;
    }
  } catch (error) {
    // A stream that is cut has ended: whoever reads it goes on where it was.
    if (error === fault || !isCut(error)) throw error;
  }
}

function isCut(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ABORT_ERR';
}

function tooLarge(): Error {
  return new Error(`it answers more than ${LARGEST_ANSWER_BYTES / 1024 / 1024} MiB`);
}
