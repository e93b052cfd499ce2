/**
 * HEADERS on a stream that we had reset were read and thrown away: without end, in no count and no log, and so were those above the
 * last stream of a GOAWAY. A few are on their way when the client is told; a flood of them is one like any other.
 */
import { beforeAll, expect, test } from 'vitest';
import { type Http2Stage, startHttp2 } from '../behaviour/http2-stage.ts';
import { block, type FrameClient, frameClient, request } from '../support/frame-client.ts';
import { END_HEADERS, END_STREAM, frame, HEADERS } from '../support/http2-frames.ts';

const ENHANCE_YOUR_CALM = 11;

let stage: Http2Stage;
beforeAll(async () => {
  stage = await startHttp2({ limits: { http2_control_frames: 100 } });
});

const TRAILERS = frame(HEADERS, END_HEADERS | END_STREAM, 1, block([['a', 'b']]));

/** A stream that is reset: its request is malformed. */
async function withReset(): Promise<FrameClient> {
  const client = await frameClient(stage.h2c);
  client.post(1, '/a b');
  expect(await client.resetOf(1)).toBe(1);
  return client;
}

test('heads on a reset stream are a flood', async () => {
  const client = await withReset();
  client.send(...Array.from({ length: 300 }, () => TRAILERS));
  expect(await client.goneWith()).toBe(ENHANCE_YOUR_CALM);
});

test('one that was on its way is none', async () => {
  const client = await withReset();
  client.send(TRAILERS);
  client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, block(request('/'))));
  expect(await client.answer(3)).toBe('200 ok');
});
