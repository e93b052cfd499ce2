/**
 * Calls that an admin API has to bear. `node admin-flood.mjs PORT TOKEN followers|flood`: prints `{}` when it has begun, goes on
 * until its standard input ends, and prints `{"calls", "events"}` then.
 *
 * `followers`: those who follow the events, and an operator who changes a weight five times a second, so that there are some.
 * `flood`: these, and whoever asks as fast as it is answered: with wrong tokens, as a page of another origin, for another host, with
 * bodies that are too large, too deep or never end; and scrapes of the metrics, twenty a second.
 */
import { setMaxListeners } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [portText, token, kind] = process.argv.slice(2);
const port = Number(portText);

const FOLLOWERS = 64;
const CHANGE_MS = 200;
/** Of each kind that is closed-loop. */
const LOOPS = 2;
const SCRAPE_MS = 100;
const SLOW_BODIES = 16;
const SLOW_BYTE_MS = 500;
const TOO_LARGE = Buffer.alloc(2 * 1024 * 1024, ' ');
const TOO_DEEP = Buffer.from('['.repeat(100_000));
/** So that a refusal that costs nothing does not make the loop turn in circles. */
const AFTER_FAILURE_MS = 5;

const RIGHT = { authorization: `Bearer ${token}` };
const JSON_TYPE = { 'content-type': 'application/json' };
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
const over = new AbortController();
setMaxListeners(0, over.signal);
let calls = 0;
let events = 0;

function open(method, path, headers) {
  return http.request({ host: '127.0.0.1', port, agent, method, path, headers });
}

/** Resolves with the body of the answer, or null where the connection broke: a refusal may end so. */
function call(method, path, headers, body) {
  return new Promise((resolve) => {
    const request = open(method, path, headers);
    request.on('error', () => resolve(null));
    request.on('response', (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', () => resolve(null));
      response.on('end', () => {
        calls++;
        resolve(Buffer.concat(chunks).toString());
      });
    });
    request.end(body);
  });
}

async function loop(one) {
  while (!over.signal.aborted) {
    if ((await one()) === null) await sleep(AFTER_FAILURE_MS);
  }
}

/** Resolves when it has begun. */
function follow() {
  return new Promise((begun, reject) => {
    const request = open('GET', '/events', { ...RIGHT, accept: 'text/event-stream' });
    request.on('error', (error) => {
      if (!over.signal.aborted) reject(error);
    });
    request.on('response', (response) => {
      response.on('data', (chunk) => {
        events += chunk.toString('latin1').match(/^id:/gm)?.length ?? 0;
      });
      response.on('error', () => {});
      if (response.statusCode === 200) begun();
      else reject(new Error(`/events: ${response.statusCode}`));
    });
    request.end();
    over.signal.addEventListener('abort', () => request.destroy());
  });
}

async function changeWeights() {
  const backends = JSON.parse(await call('GET', '/backends', RIGHT));
  const path = `/backends/${backends[0].id}`;
  for (let weight = 2; !over.signal.aborted; weight = 3 - weight) {
    await call('PATCH', path, { ...RIGHT, ...JSON_TYPE }, JSON.stringify({ weight }));
    await sleep(CHANGE_MS);
  }
}

/** A byte now and then, and begun again where it is refused. */
async function sendSlowly() {
  while (!over.signal.aborted) {
    const request = open('POST', '/backends', { ...RIGHT, ...JSON_TYPE, 'content-length': 1000 });
    const ended = new Promise((resolve) => {
      request.on('error', resolve);
      request.on('response', (response) => response.resume().on('end', resolve));
      over.signal.addEventListener('abort', () => resolve(request.destroy()), { once: true });
    });
    const timer = setInterval(() => request.write(' '), SLOW_BYTE_MS);
    request.write('{');
    await ended;
    clearInterval(timer);
  }
}

const FLOODS = [
  () => call('GET', '/status', { authorization: `Bearer wrong-${Math.random()}` }),
  () => call('POST', '/reload', { ...RIGHT, origin: 'https://shop.example' }),
  () => call('GET', '/status', { host: 'shop.example' }),
  () => call('POST', '/backends', { ...RIGHT, ...JSON_TYPE }, TOO_LARGE),
  () => call('POST', '/backends', { ...RIGHT, ...JSON_TYPE }, TOO_DEEP),
  async () => {
    await call('GET', '/metrics', RIGHT);
    await sleep(SCRAPE_MS);
  },
];

await Promise.all(Array.from({ length: FOLLOWERS }, follow));
const running = [changeWeights()];
if (kind === 'flood') {
  for (const flood of FLOODS) for (let one = 0; one < LOOPS; one++) running.push(loop(flood));
  for (let one = 0; one < SLOW_BODIES; one++) running.push(sendSlowly());
}
process.stdout.write('{}\n');
for await (const _ of process.stdin);
over.abort();
process.stdout.write(`${JSON.stringify({ calls, events })}\n`);
process.exit(0);
