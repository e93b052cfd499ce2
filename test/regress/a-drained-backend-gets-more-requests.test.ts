/**
 * `drain --wait` said that a backend is drained at the first instant in which nothing was in flight there. Clients with a
 * session went on sending requests, and those that met its restart failed.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { afterTest } from '../support/after-test.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';
import { waitFor } from '../support/wait-for.ts';

const LONG_MS = 60_000;

interface CountingBackend {
  readonly server: Server;
  readonly url: string;
  requests: number;
}

async function countingBackend(): Promise<CountingBackend> {
  const server = createServer((request, response) => {
    if (request.method === 'POST') backend.requests++;
    request.resume().on('end', () => setTimeout(() => response.end('done'), 20));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const backend: CountingBackend = { server, url: `http://127.0.0.1:${port}`, requests: 0 };
  return backend;
}

test.each([
  ['kept until the deadline', ['--deadline', '2s'], 1_900],
  ['moved at once', ['--deadline', '10m', '--move-sessions'], 0],
] as const)(
  'nothing comes after it: sessions are %s',
  async (_how, flags, leastMs) => {
    const backends = [await countingBackend(), await countingBackend()] as const;
    const fairlead = await startFairlead({
      config: {
        backends: backends.map(({ url }) => url),
        sticky: { by: 'cookie' },
        health_check_frequency: '1h',
      },
    });
    const failures: string[] = [];
    const load = { isOver: false };
    const client = async (): Promise<void> => {
      let cookie: string | undefined;
      while (!load.isOver) {
        const answer = await fetch(fairlead.url, {
          method: 'POST',
          body: 'work',
          headers: cookie === undefined ? {} : { cookie },
        });
        cookie = answer.headers.getSetCookie()[0]?.split(';', 1)[0] ?? cookie;
        if ((await answer.text()) !== 'done') failures.push(String(answer.status));
      }
    };
    const clients = Promise.all(Array.from({ length: 20 }, client));
    const [first, second] = backends;
    await waitFor(() => first.requests > 50 && second.requests > 50, LONG_MS);
    const beganMs = performance.now();
    const drain = ['drain', '0', '--admin', fairlead.adminUrl, '--wait', ...flags];
    const { code, stdout, stderr } = await runFairlead(drain, { ms: LONG_MS });
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('is drained');
    expect(performance.now() - beganMs).toBeGreaterThan(leastMs);
    const before = { first: first.requests, second: second.requests };
    first.server.closeAllConnections();
    first.server.close();
    await waitFor(() => second.requests > before.second + 200, LONG_MS);
    load.isOver = true;
    await clients;
    expect(failures).toEqual([]);
    expect(first.requests).toBe(before.first);
  },
  120_000,
);
