/** An exception in the handling of one stream of HTTP/2 costs its connection, and nothing of it is left. */
import { beforeAll, expect, test } from 'vitest';
import { type Http2Stage, startHttp2 } from '../behaviour/http2-stage.ts';
import { metrics, NOTHING, silent } from '../behaviour/stage.ts';
import { type FrameClient, frameClient, settings } from '../support/frame-client.ts';
import {
  DATA,
  END_STREAM,
  frame,
  PREFACE,
  RST_STREAM,
  uint32,
  WINDOW_UPDATE,
} from '../support/http2-frames.ts';
import { okResponse } from '../support/raw-backend.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';

const THROWING = new URL('../support/patches/throwing-http2.mjs', import.meta.url).href;

let stage: Http2Stage;
beforeAll(async () => {
  const env = { NODE_OPTIONS: `--import ${THROWING}` };
  stage = await startHttp2({ timeouts: { idle: '300ms', response: '300ms' } }, { env });
  stage.on('/silent', silent);
  stage.on('/part', async (connection) => {
    await connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart');
    await silent(connection);
  });
  stage.on('/upload', async (connection) => {
    await connection.readBytes(3);
    await connection.write(okResponse());
  });
});

async function crashed(): Promise<number> {
  return (await metrics(stage.fairlead)).get('fairlead_connections_crashed_total') ?? -1;
}

const upload = (client: FrameClient, id: number): void => {
  client.post(id, '/upload', [['content-length', '3']]);
  client.send(frame(DATA, END_STREAM, id, 'abc'));
};
const get = (client: FrameClient, id: number): void => client.get(id, '/page');

test.each<[string, number, (client: FrameClient, id: number) => void]>([
  ['begin', 101, get],
  ['receive', 103, upload],
  ['remoteEnded', 105, upload],
  ['sendHead', 107, get],
  ['flush', 109, (client, id) => client.get(id, '/part')],
  ['end', 111, get],
  ['exchangeDone', 113, get],
  ['onDeadline', 115, (client, id) => client.get(id, '/silent')],
  [
    'onRoom',
    117,
    (client, id) => {
      client.get(id, '/page');
      client.socket.on('data', () => client.send(frame(WINDOW_UPDATE, 0, id, uint32(1))));
    },
  ],
  [
    'wasReset',
    119,
    (client, id) => {
      client.get(id, '/silent');
      client.send(frame(RST_STREAM, 0, id, uint32(8)));
    },
  ],
])('%s', async (name, id, script) => {
  const before = await crashed();
  // A window of nothing, for what has to wait for one.
  const said = name === 'onRoom' ? [PREFACE, settings([4, 0])] : [PREFACE, settings()];
  const client = await frameClient(stage.h2c, { said });
  // Others on the same connection go with it, and what they hold.
  client.get(1, '/silent');
  script(client, id);
  await waitFor(() => client.isEnded, LONG_MS, 'the end of the connection');
  await waitFor(async () => (await crashed()) === before + 1, LONG_MS, 'the count');
  const other = await frameClient(stage.h2c);
  other.get(1, '/other');
  expect(await other.answer(1)).toBe('200 ok');
  other.socket.destroy();
  expect(await stage.leftover()).toEqual(NOTHING);
  const samples = await metrics(stage.fairlead);
  expect(samples.get('fairlead_data_thread_restarts_total')).toBe(0);
});
