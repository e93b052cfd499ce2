/**
 * A request was passed on as soon as its head was read, though what called it off had come with it (rapid reset, CVE-2023-44487):
 * its backend had a connection opened and broken for each. Pieces of a body were passed on one by one in the same way.
 */
import { beforeAll, expect, test } from 'vitest';
import { type Http2Stage, startHttp2 } from '../behaviour/http2-stage.ts';
import { block, type FrameClient, frameClient, request } from '../support/frame-client.ts';
import {
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  RST_STREAM,
  uint32,
  WINDOW_UPDATE,
} from '../support/http2-frames.ts';

const CANCEL = uint32(8);
/** Few enough for one turn. */
const COUNT = 8;
const LAST = 2 * COUNT + 3;

let stage: Http2Stage;
beforeAll(async () => {
  stage = await startHttp2();
});

const ids = Array.from({ length: COUNT }, (_, index) => 2 * index + 3);
const head = (id: number, path: string) =>
  frame(HEADERS, END_HEADERS | END_STREAM, id, block(request(path)));

/** Of a thread that has a connection open to the backend. */
async function withBackend(): Promise<FrameClient> {
  const client = await frameClient(stage.h2c);
  client.get(1);
  expect(await client.answer(1)).toBe('200 ok');
  return client;
}

test.each([
  ['behind each', 'each', (id: number) => frame(RST_STREAM, 0, id, CANCEL)],
  ['by an error of their client', 'error', (id: number) => frame(WINDOW_UPDATE, 0, id, uint32(0))],
])('requests called off %s never reach their backend', async (_, name, ending) => {
  const client = await withBackend();
  client.send(Buffer.concat(ids.map((id) => Buffer.concat([head(id, `/${name}`), ending(id)]))));
  client.get(LAST, `/after-${name}`);
  expect(await client.answer(LAST)).toBe('200 ok');
  expect(stage.backend.served(`/${name}`)).toHaveLength(0);
});

test('all of them called off behind the last never reach it either', async () => {
  const client = await withBackend();
  const ends = ids.map((id) => frame(RST_STREAM, 0, id, CANCEL));
  client.send(Buffer.concat([...ids.map((id) => head(id, '/all')), ...ends]));
  client.get(LAST, '/after-all');
  expect(await client.answer(LAST)).toBe('200 ok');
  expect(stage.backend.served('/all')).toHaveLength(0);
});
