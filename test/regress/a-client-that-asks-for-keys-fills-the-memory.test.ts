/**
 * Each KeyUpdate of a TLS client that asks for an answer gets one, made by OpenSSL. Those of a client that did not read waited in
 * memory, any number of them, and were in no sum: `limits.buffered` did not see them.
 */
import { expect, test } from 'vitest';
import { get, metrics, scriptedBackend, silent, startProxy } from '../behaviour/stage.ts';
import { makeCertificate } from '../support/certificate.ts';
import { ANSWER_BYTES, keyUpdater } from '../support/key-updates.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;
const LIMIT = MIB;
const AT_ONCE = 10_000;
/** Four times what may wait. */
const MOST = (4 * LIMIT) / ANSWER_BYTES;

test('it is cut when more waits than may', async () => {
  const backend = await scriptedBackend();
  backend.on('/long', async (connection) => {
    connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
    connection.socket.write(Buffer.alloc(16 * MIB, 'x'));
    await silent(connection);
  });
  const fairlead = await startProxy([backend.url], {
    ssl: makeCertificate(),
    limits: { buffered: LIMIT },
  });
  const client = await keyUpdater(fairlead.port, get('/long'));
  let most = 0;
  for (let asked = 0; asked < MOST && !client.isClosed; asked += AT_ONCE) {
    await client.ask(AT_ONCE);
    most = Math.max(most, (await metrics(fairlead)).get('fairlead_buffered_bytes') ?? 0);
  }
  await waitFor(() => client.isClosed);
  expect(most).toBeGreaterThan(LIMIT / 4);
  await waitFor(async () => (await metrics(fairlead)).get('fairlead_buffered_bytes') === 0);
  await fairlead.waitForLog(({ event }) => event === 'memory.limited');
  await waitFor(() => fairlead.accessLines().some(({ error }) => error === 'ERR_BUFFERS_FULL'));
});
