/** Preloaded into Fairlead and its threads: a request with `X-Spin: MS` keeps its data thread in a loop for so long. */
import { isMainThread } from 'node:worker_threads';
import { moduleOf } from './module-of.mjs';

async function arm() {
  const { ClientConnection } = await moduleOf('data/listen/client-connection');
  const original = ClientConnection.prototype.onBytes;
  if (typeof original !== 'function') throw new Error('there is no onBytes any more');
  ClientConnection.prototype.onBytes = function spinning(buffer, length) {
    const ms = /X-Spin: (\d+)\r\n/.exec(buffer.latin1Slice(0, length))?.[1];
    original.call(this, buffer, length);
    const endMs = performance.now() + Number(ms ?? 0);
    while (performance.now() < endMs);
  };
}

if (!isMainThread) await arm();
