/** Waiting for a server to answer. */
import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 10_000;

/**
 * Until `GET /` is answered with 200.
 * @param {{ port: number, isTls?: boolean }} server on 127.0.0.1
 */
export async function untilAnswered({ port, isTls = false }) {
  const deadline = performance.now() + PATIENCE_MS;
  let last = 'nothing';
  while (performance.now() < deadline) {
    last = await statusOf(port, isTls);
    if (last === 200) return;
    await sleep(50);
  }
  throw new Error(`no answer on port ${port} within ${PATIENCE_MS / 1000} s (last: ${last})`);
}

function statusOf(port, isTls) {
  const target = { host: '127.0.0.1', port, agent: false, rejectUnauthorized: false };
  return new Promise((resolve) => {
    const request = (isTls ? https : http).get(target, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.setTimeout(1000, () => request.destroy());
    request.on('error', (error) => resolve(error.message));
  });
}
