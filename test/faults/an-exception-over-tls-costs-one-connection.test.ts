/**
 * What happens before a TLS connection is a client's, and when its carrier closes, was not behind the barrier: an exception
 * there ended the data thread. Now it costs that connection, whatever TLS runs on.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  get,
  metrics,
  type ScriptedBackend,
  scriptedBackend,
  startProxy,
} from '../behaviour/stage.ts';
import { makeCertificate } from '../support/certificate.ts';
import type { Fairlead } from '../support/fairlead.ts';
import { okResponse } from '../support/raw-backend.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { hasTool } from '../support/tools.ts';
import { waitFor } from '../support/wait-for.ts';

const support = (name: string): string => new URL(`../support/${name}`, import.meta.url).href;
const THROWING = support('patches/throwing.mjs');

interface Row {
  readonly seam: string;
  /** What of it is a client's. */
  readonly isRequest?: boolean;
}

const SEAMS: readonly Row[] = [
  { seam: 'next-tls-accept' },
  { seam: 'next-first-bytes' },
  { seam: 'next-secure' },
  { seam: 'client-read', isRequest: true },
  { seam: 'client-read-after', isRequest: true },
  { seam: 'backend-read', isRequest: true },
];

async function status(client: RawClient): Promise<number> {
  await client.write(get('/'));
  return (await client.readResponse()).status;
}

describe.runIf(hasTool('openssl')).each([
  ['on handles', [], [...SEAMS, { seam: 'tls-flush', isRequest: true }]],
  [
    'on sockets over TCP handles',
    [support('without-tls-handles.mjs')],
    [...SEAMS, { seam: 'next-gone' }],
  ],
  ['on sockets', [support('without-tcp-handles.mjs')], [...SEAMS, { seam: 'next-gone' }]],
] as const)('over TLS %s, an exception costs one connection', (_name, preloads, seams) => {
  let backend: ScriptedBackend;
  let fairlead: Fairlead;
  let other: RawClient;
  const gauge = async (name: string) => (await metrics(fairlead)).get(name);
  const connect = () => rawClient(fairlead.port, { tls: true });

  beforeAll(async () => {
    backend = await scriptedBackend();
    backend.on('/', (connection) => connection.write(okResponse('ok', ['Connection: close'])));
    const NODE_OPTIONS = [...preloads, THROWING].map((url) => `--import ${url}`).join(' ');
    const options = { env: { NODE_OPTIONS }, args: ['--threads', '1'] };
    fairlead = await startProxy([backend.url], { ssl: makeCertificate() }, options);
    other = await connect();
  });

  /** Until the connection that pays for it is gone. */
  const provoke = async (seam: string, isRequest: boolean): Promise<void> => {
    const client = isRequest || seam === 'next-gone' ? await connect() : other;
    await client.write(get('/', [`X-Throw: ${seam}`]));
    if (isRequest) {
      await client.closed;
      return;
    }
    await client.readResponse();
    if (client !== other) client.end();
    else await connect().catch(() => {});
  };

  test.each<Row>(seams)('$seam', async ({ seam, isRequest = false }) => {
    expect(await status(other)).toBe(200);
    const before = (await gauge('fairlead_connections_crashed_total')) ?? -1;
    await provoke(seam, isRequest);
    await waitFor(async () => (await gauge('fairlead_connections_crashed_total')) === before + 1);
    await fairlead.waitForLog(
      ({ event, detail }) =>
        event === 'connection.crashed' && detail === `Error: thrown at ${seam}`,
    );
    await waitFor(async () => (await gauge('fairlead_client_connections')) === 1);
    expect(await status(other)).toBe(200);
    expect(await gauge('fairlead_data_thread_restarts_total')).toBe(0);
  });
});
