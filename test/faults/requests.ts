/** The requests that every fault is tried with, and what their client sees in the end. */
import { rawClient } from '../support/raw-client.ts';

/** Over the replay buffer of 64 KiB. */
const LARGE_BYTES = 200_000;

export const REQUESTS = {
  GET: { method: 'GET', bytes: 0 },
  'small PUT': { method: 'PUT', bytes: 5 },
  'small POST': { method: 'POST', bytes: 5 },
  'PUT over the replay buffer': { method: 'PUT', bytes: LARGE_BYTES },
  'POST over the replay buffer': { method: 'POST', bytes: LARGE_BYTES },
} as const;

export type RequestName = keyof typeof REQUESTS;
export const REQUEST_NAMES = Object.keys(REQUESTS) as RequestName[];

/**
 * Sends one request and waits for its end, in words: `200 whole`, `200 cut` (the head came, then a reset), or the status
 * with its Proxy-Status: `502 connection_terminated`. A body that does not fit the request is named too.
 */
export async function outcomeOf(port: number, path: string, name: RequestName): Promise<string> {
  const { method, bytes } = REQUESTS[name];
  const client = await rawClient(port);
  const length = bytes === 0 ? '' : `Content-Length: ${bytes}\r\n`;
  const head = `${method} ${path} HTTP/1.1\r\nHost: test\r\n${length}Connection: close\r\n\r\n`;
  // An early answer may end the connection before all of it has left.
  void client.write(head + 'x'.repeat(bytes));
  try {
    await client.readToEnd(10_000);
    const isReset = (await client.closed) !== 'end';
    return outcome(withoutInterim(client.text), `got ${bytes}`, isReset);
  } finally {
    client.socket.destroy();
  }
}

function withoutInterim(text: string): string {
  return text.replace(/^(HTTP\/1\.1 1\d\d [^\r]*\r\n([^\r]+\r\n)*\r\n)+/, '');
}

function outcome(text: string, expected: string, isReset: boolean): string {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return isReset ? 'reset without an answer' : 'closed without an answer';
  const head = text.slice(0, end);
  const status = head.slice(9, 12);
  const error = /proxy-status: fairlead;.*?error=(\w+)/i.exec(head)?.[1];
  if (error !== undefined) return `${status} ${error}`;
  const announced = /content-length: (\d+)/i.exec(head)?.[1];
  const body = text.slice(end + 4);
  const isWhole =
    announced === undefined ? body.endsWith('0\r\n\r\n') : body.length === Number(announced);
  if (!isWhole) return isReset ? `${status} cut` : `${status} cut, passed off as whole`;
  return body.includes(expected) ? `${status} whole` : `${status} with ${JSON.stringify(body)}`;
}
