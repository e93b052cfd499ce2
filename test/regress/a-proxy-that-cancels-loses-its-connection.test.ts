/**
 * A proxy in front, whose clients share one HTTP/2 connection, lost it when more than `limits.http2_resets` of its requests were
 * called off within a minute, however many thousand were served beside them.
 */
import { expect, test } from 'vitest';
import { startHttp2 } from '../behaviour/http2-stage.ts';
import { silent } from '../behaviour/stage.ts';
import { type FrameClient, frameClient } from '../support/frame-client.ts';
import { frame, RST_STREAM, uint32 } from '../support/http2-frames.ts';

const CANCEL = uint32(8);
const ENHANCE_YOUR_CALM = 11;
const RESETS = 3;

async function callOff(client: FrameClient, id: number): Promise<void> {
  client.get(id, '/silent');
  client.send(frame(RST_STREAM, 0, id, CANCEL));
  await client.settled();
}

test('what is served pays for what is called off, and for no more', async () => {
  const stage = await startHttp2({ limits: { http2_resets: RESETS } });
  stage.on('/silent', silent);
  const client = await frameClient(stage.h2c);
  let id = 1;
  for (let round = 0; round < 20; round++) {
    client.get(id);
    expect(await client.answer(id)).toBe('200 ok');
    await callOff(client, id + 2);
    id += 4;
  }
  expect(client.isEnded).toBe(false);
  // Rapid reset is as bounded as it was. A minute earns as many again: ten times of them have to be too many.
  for (let round = 0; round < 10 * RESETS && !client.isEnded; round++, id += 2) {
    await callOff(client, id);
  }
  expect(await client.goneWith()).toBe(ENHANCE_YOUR_CALM);
});
