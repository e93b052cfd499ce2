/**
 * Of a host with several addresses, Node gives up the first one after 250 ms to try the next. Where the process stood still, its
 * timer was due before it had read that the first one was connected: a check that only that one would have passed failed.
 * Requests went by other rules: they did without, and tried the addresses in another order.
 */
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { probe } from '../../src/control/health/probe.ts';
import type { Address } from '../../src/net/addresses.ts';
import { address, PLAIN_CHECK } from '../control/fixtures.ts';
import { afterTest } from '../support/after-test.ts';
import { makeCertificate } from '../support/certificate.ts';
import { httpBackend } from '../support/http-backend.ts';
import { rawBackend } from '../support/raw-backend.ts';
import { hasTool } from '../support/tools.ts';

/** Nobody listens there. */
const REFUSING: Address = { address: '127.0.0.2', family: 4 };
const GOOD: Address = { address: '127.0.0.1', family: 4 };
const STANDSTILL_MS = 700;

type Callback = (error: Error | null, addresses: readonly Address[]) => void;

/** The system's answer for every name; `behind` is called behind it, in the same round. */
function resolveTo(addresses: readonly Address[] | Error, behind = (): void => {}): void {
  const lookup = (_host: string, _options: unknown, callback: Callback): void => {
    setImmediate(() => {
      if (addresses instanceof Error) callback(addresses, []);
      else callback(null, addresses);
      // Before anything of what the attempts bring about is read.
      process.nextTick(() => process.nextTick(behind));
    });
  };
  vi.spyOn(dns, 'lookup').mockImplementation(lookup as typeof dns.lookup);
}

function standStill(): void {
  const until = performance.now() + STANDSTILL_MS;
  while (performance.now() < until);
}

function check(url: string, timeoutMs = 10_000, signal = new AbortController().signal) {
  const { port } = new URL(url);
  const named = address(url.replace(/127\.0\.0\.1|localhost/, 'backend.test'));
  expect(named.port).toBe(Number(port));
  const method = url.startsWith('https') ? 'tcp' : 'http';
  return probe({ address: named, method, path: '/', timeoutMs, ...PLAIN_CHECK }, signal);
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a check of a host with several addresses', () => {
  test('does not give up the first one for the time in which the process stood still', async () => {
    const { url } = await httpBackend();
    resolveTo([GOOD, REFUSING], standStill);
    expect(await check(url)).toMatchObject({ isPassed: true, status: 200 });
  });

  test('goes on to the next at once when one fails', async () => {
    const { url } = await httpBackend();
    resolveTo([REFUSING, REFUSING, { address: '::1', family: 6 }, GOOD]);
    expect(await check(url)).toMatchObject({ isPassed: true, status: 200 });
  });

  test('says of all of them why they failed', async () => {
    const { url, close } = await httpBackend();
    await close();
    resolveTo([GOOD, REFUSING]);
    const result = await check(url);
    expect(result).toMatchObject({ isPassed: false, hasConnected: false, code: 'ECONNREFUSED' });
    expect(result.detail).toMatch(/ECONNREFUSED 127\.0\.0\.1:\d+, .*ECONNREFUSED 127\.0\.0\.2:\d+/);
  });

  test('says of one that answers nothing that there was no answer', async () => {
    const backend = await rawBackend(async (connection) => {
      await connection.readHead();
    });
    resolveTo([GOOD, REFUSING]);
    const result = await check(backend.url, 200);
    expect(result).toMatchObject({ isPassed: false, hasConnected: true, code: 'TIMEOUT' });
    await (await backend.connection(0)).closed;
  });
});

test('a name that does not exist is a verdict, one that nobody knows in time is none', async () => {
  const { url } = await httpBackend();
  resolveTo(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
  expect(await check(url)).toMatchObject({ code: 'ENOTFOUND', isInconclusive: false });
  vi.spyOn(dns, 'lookup').mockImplementation((() => {}) as unknown as typeof dns.lookup);
  expect(await check(url, 100)).toMatchObject({ code: 'EAI_AGAIN', isInconclusive: true });
});

test('a check that is called off while its name is looked up connects to nobody', async () => {
  const { url, requests } = await httpBackend();
  const abort = new AbortController();
  resolveTo([GOOD]);
  const result = check(url, 10_000, abort.signal);
  abort.abort();
  expect(await result).toMatchObject({ code: 'CALLED_OFF' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(requests).toEqual([]);
});

test.runIf(hasTool('openssl'))('over TLS it is the name that must be right', async () => {
  const files = makeCertificate();
  const server = createServer({
    cert: readFileSync(files.cert_file),
    key: readFileSync(files.key_file),
  }).on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterTest(() => void server.close());
  resolveTo([REFUSING, GOOD]);
  const { port } = server.address() as { port: number };
  const result = await check(`https://127.0.0.1:${port}`);
  expect(result).toMatchObject({ isPassed: false, hasConnected: false });
  expect(result.code).toMatch(/SELF_SIGNED|UNABLE_TO/);
});
