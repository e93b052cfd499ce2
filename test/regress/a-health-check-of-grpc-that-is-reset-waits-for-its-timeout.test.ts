/**
 * A server that reset the call of a health check with CANCEL or NO_ERROR was down for want of an answer, after all of the timeout; with
 * any other code it was told that it speaks no HTTP/2. And what a server said of its failure stood in the log at whatever length.
 */
import { expect, test } from 'vitest';
import type { ProbeRequest } from '../../src/control/health/check-request.ts';
import { type ProbeResult, probe } from '../../src/control/health/probe.ts';
import { address, PLAIN_CHECK } from '../control/fixtures.ts';
import { frame, GOAWAY, RST_STREAM, uint32 } from '../support/http2-frames.ts';
import { headers, rawHttp2Backend } from '../support/raw-http2-backend.ts';

const NEVER_MS = 600_000;
const NO_ERROR = 0;
const REFUSED_STREAM = 7;
const CANCEL = 8;

async function checkOf(
  answer: (streamId: number) => Uint8Array,
  method: ProbeRequest['method'] = 'grpc',
): Promise<ProbeResult> {
  const { url } = await rawHttp2Backend(async (connection) => {
    await connection.send(answer(await connection.request()));
  });
  const asked = { ...PLAIN_CHECK, address: address(url), path: '/', timeoutMs: NEVER_MS };
  return probe({ ...asked, protocol: 'h2', method }, new AbortController().signal);
}

const reset = (code: number) => (streamId: number) => frame(RST_STREAM, 0, streamId, uint32(code));

test.each([
  [NO_ERROR, /: a call that was reset after/],
  [CANCEL, /: a call that was reset after/],
  [REFUSED_STREAM, /: Stream closed with error code NGHTTP2_REFUSED_STREAM after/],
])('a call that is reset with %i has failed at once', async (code, came) => {
  const result = await checkOf(reset(code));
  expect(result).toMatchObject({ isPassed: false, hasConnected: true });
  expect(result.detail).toMatch(came);
  expect(['NOT_GRPC', 'TIMEOUT']).not.toContain(result.code);
});

test.each([NO_ERROR, CANCEL])('and so has a page that is reset with %i', async (code) => {
  const result = await checkOf(reset(code), 'http');
  expect([result.isPassed, result.code]).toEqual([false, 'CLOSED']);
});

test('a connection that ends in order has refused the call', async () => {
  const { detail } = await checkOf(() => frame(GOAWAY, 0, 0, uint32(0, NO_ERROR)));
  expect(detail).not.toContain('not HTTP/2');
});

test('what a server says is cut', async () => {
  const { detail } = await checkOf((streamId) =>
    headers(
      streamId,
      [
        [':status', '200'],
        ['content-type', 'application/grpc'],
        ['grpc-status', '14'],
        ['grpc-message', 'x'.repeat(10_000)],
      ],
      true,
    ),
  );
  expect(detail).toMatch(/grpc-status 14 UNAVAILABLE "x{200}…" after/);
});
