/** What becomes of an answer that waits for its client's window, and what counts as sent of it. */
import { expect, test } from 'vitest';
import { Http2StreamOutput } from '../../src/data/listen/http2-stream-output.ts';
import type { Settlement } from '../../src/data/relay/ledger.ts';
import type { Http2Output } from '../../src/data/stream/http2-output.ts';
import { DEFAULT_WINDOW, SendWindow } from '../../src/data/wire/http2/windows.ts';

const HEAD = 'HTTP/1.1 200 OK\r\n\r\n';
const WINDOW = 10;

/** A stream whose client has a window of so many bytes. */
function stream(initialWindowSize = WINDOW) {
  const window = new SendWindow(DEFAULT_WINDOW);
  const take = (of: SendWindow, length: number): void => {
    of.take(length);
    window.take(length);
  };
  const output = {
    window,
    needsDrain: false,
    peer: { initialWindowSize, maxFrameSize: 16_384 },
    roomIn: (of: SendWindow) => Math.min(of.available, window.available),
    response: (_id: number, text: string) => text.length,
    endData: () => undefined,
    trailers: (_id: number, text: string) => text.length,
    text: (_id: number, of: SendWindow, text: string) => take(of, text.length),
    data: (_id: number, of: SendWindow, _bytes: Buffer, start: number, end: number) =>
      take(of, end - start),
  };
  const sending = new Http2StreamOutput(output as unknown as Http2Output, 1);
  const told: unknown[] = [];
  const settlement = {
    allHasLeft: () => void told.push('all has left'),
    isLost: (bytes: number, code: string) => void told.push([bytes, code]),
  };
  return { sending, told, settlement: settlement as unknown as Settlement };
}

/** A whole answer with a body of 100 bytes. */
function answered(trailers = '') {
  const it = stream();
  it.sending.head(HEAD);
  it.sending.body(Buffer.alloc(100), 0, 100);
  it.sending.complete(trailers);
  it.sending.pump();
  return it;
}

test('one that fits has left at once', () => {
  const { sending } = stream(100);
  sending.head(HEAD);
  sending.body(Buffer.alloc(100), 0, 100);
  sending.complete('');
  sending.pump();
  expect([sending.isEnded, sending.isHeld, sending.bytesOut]).toEqual([
    true,
    false,
    HEAD.length + 100,
  ]);
});

test.each(['', 'grpc-status: 0\r\n'])(
  'one that is held is settled once all has left: %j',
  (trailers) => {
    const { sending, told, settlement } = answered(trailers);
    expect(sending.isEnded).toBe(false);
    sending.settleLater(settlement);
    sending.window.add(50);
    sending.pump();
    expect([told, sending.isToBeSettled]).toEqual([[], true]);
    sending.window.add(40);
    sending.pump();
    expect([told, sending.isEnded]).toEqual([['all has left'], true]);
    sending.drop();
    expect(told).toEqual(['all has left']);
  },
);

test('what is held when it is dropped is lost, and told once', () => {
  const { sending, told, settlement } = answered();
  sending.settleLater(settlement);
  sending.lose('ERR_CLIENT_TIMEOUT', '');
  sending.drop();
  expect(told).toEqual([[100 - WINDOW, 'ERR_CLIENT_TIMEOUT']]);
  expect(sending.bytesOut).toBe(HEAD.length + WINDOW);
});

test('of one that goes on, what is held has not been sent', () => {
  const { sending } = stream();
  sending.head(HEAD);
  sending.body(Buffer.alloc(20_000), 0, 20_000);
  sending.pump();
  expect(sending.bytesOut).toBe(HEAD.length + WINDOW);
  expect([sending.hasGrown(), sending.hasGrown()]).toEqual([true, false]);
  sending.drop();
  expect(sending.bytesOut).toBe(HEAD.length + WINDOW);
});
