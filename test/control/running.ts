/** A running control plane with the stub in the place of the data plane, and a client of its admin API. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import type { LoadResult } from '../../src/config/load.ts';
import type { PoolSettings, Settings } from '../../src/config/settings.ts';
import { type ControlledFairlead, startFairlead } from '../../src/control/fairlead.ts';
import { afterTest } from '../support/after-test.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type FlatSettings, STUB_WORKER, settings } from './fixtures.ts';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** Of a JSON body; undefined for any other. */
  readonly json: unknown;
}

export interface Running {
  readonly fairlead: ControlledFairlead;
  /** What the next reload will load. */
  next: LoadResult;
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
  log(): Promise<string>;
}

export function loaded(the: Settings): LoadResult {
  return { ok: true, settings: the, origins: new Map(), notes: [] };
}

export async function running(
  changes: Partial<FlatSettings> = {},
  workerUrl: URL = STUB_WORKER,
  others: readonly PoolSettings[] = [],
): Promise<Running> {
  const folder = temporaryFolder();
  const the = settings(changes, others);
  const logFile = join(folder, 'log');
  const self: Running = {
    next: loaded(the),
    fairlead: await startFairlead(
      the,
      {
        reload: () => self.next,
        look: () => self.next,
        taken: () => {},
        validate: (text) =>
          text === 'good'
            ? loaded(the)
            : { ok: false, problems: [{ origin: 'file', path: 'port', message: 'is no port' }] },
        effectiveConfig: () => effectiveConfig({ settings: the, origins: new Map() }),
        jsonSchema: () => ({ type: 'object' }),
      },
      { workerUrl, logFile },
    ),
    call: (method, path, body, headers) =>
      request(self.fairlead.adminPort, method, path, body, headers),
    log: () => readFile(logFile, 'utf8'),
  };
  afterTest(async () => {
    self.fairlead.kill();
    await self.fairlead.exited;
  });
  return self;
}

/** Objects go as JSON, texts and bytes as they are. */
function request(
  port: number,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const bytes =
    body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
      ? body
      : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        // node:http frames the body of a DELETE only when it is told the length.
        headers: {
          ...(bytes !== undefined && { 'Content-Length': Buffer.byteLength(bytes) }),
          ...headers,
        },
        agent: false,
        timeout: 10_000,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = /json/.test(response.headers['content-type'] ?? '');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: isJson && text !== '' ? JSON.parse(text) : undefined,
          });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer')));
    outgoing.end(bytes);
  });
}

/** All that comes until the server closes. */
export async function rawAnswer(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(text);
  let received = '';
  socket.on('data', (data) => {
    received += String(data);
  });
  await once(socket, 'close');
  return received;
}
