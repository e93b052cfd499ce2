/** Node resets TCP sockets only, and throws where it is asked for another: a connection on a unix socket stayed open. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { StreamUser } from '../../src/data/stream/byte-stream.ts';
import { SocketStream } from '../../src/data/stream/socket-stream.ts';
import { afterTest } from '../support/after-test.ts';
import { waitFor } from '../support/wait-for.ts';

const NOBODY: StreamUser = {
  onBytes() {},
  onEnd() {},
  onDrain() {},
  onWriteFailed() {},
  onClosed() {},
  onCrashed(error) {
    throw error;
  },
};

test.runIf(process.platform !== 'win32')('a reset of one closes it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-socket-'));
  const server = createServer();
  afterTest(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, 'a.sock');
  server.listen(path);
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect(path);
  client.on('error', () => {});
  client.resume();
  const [socket] = await accepted;
  new SocketStream(socket, NOBODY, false).reset();
  expect(socket.destroyed).toBe(true);
  await waitFor(() => client.destroyed);
});
