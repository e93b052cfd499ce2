/** Waiting for a server to answer. */
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 10_000;

/**
 * Until `GET /` is answered with 200.
 * @param {{ port: number, isTls?: boolean, isH2c?: boolean }} server on 127.0.0.1; `isH2c`: it is asked in HTTP/2, in the clear
 */
export async function untilAnswered({ port, isTls = false, isH2c = false }) {
  const deadline = performance.now() + PATIENCE_MS;
  let last = 'nothing';
  while (performance.now() < deadline) {
    last = await (isH2c ? statusInHttp2(port) : statusOf(port, isTls));
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

function statusInHttp2(port) {
  return new Promise((resolve) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const end = (result) => {
      session.destroy();
      resolve(result);
    };
    session.setTimeout(1000, () => end('nothing'));
    session.on('error', (error) => end(error.message));
    // Whoever does not speak it closes.
    session.on('close', () => end('closed'));
    const stream = session.request({ ':path': '/' });
    stream.on('response', (fields) => end(fields[':status']));
    stream.on('error', (error) => end(error.message));
  });
}
