/** As much of `fetch` as the admin client uses, over a unix socket, which `fetch` does not know. */
import http from 'node:http';
import { text } from 'node:stream/consumers';

export interface AdminAnswer {
  readonly status: number;
  readonly ok: boolean;
  readonly body: AsyncIterable<Uint8Array> | null;
  text(): Promise<string>;
}

export function unixFetch(
  socketPath: string,
  path: string,
  init: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: string | undefined;
    readonly signal: AbortSignal;
  },
): Promise<AdminAnswer> {
  const { method, headers, body, signal } = init;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
    const request = http.request(
      {
        socketPath,
        path,
        method,
        signal,
        agent: false,
        headers: { Host: 'localhost', ...headers, ...length },
      },
      (response) => {
        const status = response.statusCode ?? 0;
        resolve({
          status,
          ok: status >= 200 && status < 300,
          body: response,
          text: () => text(response),
        });
      },
    );
    request.once('error', reject);
    request.end(body);
  });
}
