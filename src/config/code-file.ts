/**
 * A config that is written as code: `fairlead.config.ts`, `.mts`, `.js`, `.mjs`. What it exports by default is the config.
 *
 * Types are Node's business: from 22.18 on it takes them off by itself. See docs/decisions/0032.
 */
import { pathToFileURL } from 'node:url';
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import type { Place, Problem } from './problem.ts';

/** It may import much; it may not wait for a network that is down. */
const LONGEST_MS = 10_000;

/** From wherever this module was bundled to; `.js` when compiled, `.ts` in the source. */
const WORKER_URL = new URL(
  `../config/code-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

export interface CodeRequest {
  readonly url: string;
  readonly shown: string;
  readonly port: MessagePort;
  /** One cell, which is 1 when it is over. */
  readonly signal: SharedArrayBuffer;
}

export type CodeResult =
  | { readonly ok: true; readonly data: unknown }
  | { readonly ok: false; readonly problems: readonly Problem[] }
  | {
      readonly ok: false;
      readonly code: string;
      readonly message: string;
      readonly stack?: string;
    };

export type CodeFileResult = Exclude<CodeResult, { readonly code: string }>;

export function isCode(file: string): boolean {
  return /\.[mc]?[jt]s$/i.test(file);
}

/** Waits for it, as for a file that is read: where there are data threads, requests do not. */
export function runCode(absolute: string, shown: string): CodeFileResult {
  const signal = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const { port1: own, port2: port } = new MessageChannel();
  const { href: url } = pathToFileURL(absolute);
  const request: CodeRequest = { url, shown, port, signal };
  const worker = new Worker(WORKER_URL, {
    workerData: request,
    transferList: [port],
    name: 'fairlead config',
  });
  // What it throws after its answer is nobody's any more.
  worker.on('error', () => {});
  worker.unref();
  const outcome = Atomics.wait(new Int32Array(signal), 0, 0, LONGEST_MS);
  const received = receiveMessageOnPort(own) as { readonly message: CodeResult } | undefined;
  own.close();
  void worker.terminate();
  if (received === undefined) {
    const message =
      outcome === 'timed-out'
        ? `it has not come to its end within ${LONGEST_MS / 1000} s`
        : 'it has ended its thread before it gave a config';
    return failed({ origin: 'file', file: shown }, message);
  }
  const { message: result } = received;
  return 'code' in result ? explained(result, url, shown) : result;
}

function explained(
  { code, message, stack = '' }: Extract<CodeResult, { readonly code: string }>,
  url: string,
  shown: string,
): CodeFileResult {
  const place: Place = { origin: 'file', file: shown, ...positionIn(stack, url) };
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return failed(
      place,
      `Node ${process.versions.node} does not read TypeScript`,
      `use Node 22.18 or later, or write ${shown.replace(/ts$/i, 'js')} (with "// @ts-check", editors know its types too), or have it read by another program, as with NODE_OPTIONS="--import tsx"`,
    );
  }
  if (code === 'ERR_MODULE_NOT_FOUND' && message.startsWith("Cannot find package 'fairlead'")) {
    const hint = 'npm install fairlead in its folder, or export the object without defineConfig';
    return failed(place, "it imports 'fairlead', which is not installed there", hint);
  }
  return failed(place, message);
}

/** Where in the file itself, as far as an error says. */
function positionIn(stack: string, url: string): { line?: number; column?: number } {
  const at = stack.indexOf(`${url}:`);
  const [, line, column] =
    /^:(\d+)(?::(\d+))?/.exec(at === -1 ? '' : stack.slice(at + url.length)) ?? [];
  if (line === undefined) return {};
  return { line: Number(line), ...(column !== undefined && { column: Number(column) }) };
}

function failed(place: Place, message: string, hint?: string): CodeFileResult {
  return { ok: false, problems: [{ ...place, path: '', message, ...(hint && { hint }) }] };
}
