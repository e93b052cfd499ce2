/** Preloaded into Fairlead and its threads: a request with `X-Spin: MS` keeps its data thread in a loop for so long. */
import { isMainThread } from 'node:worker_threads';

async function arm() {
  const url = new URL('../../dist/data/listen/client-connection.js', import.meta.url).href;
  const { ClientConnection } = await import(url);
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
