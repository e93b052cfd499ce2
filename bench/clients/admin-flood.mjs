/**
 * Calls that an admin API has to bear. `node admin-flood.mjs PORT TOKEN KIND`: prints a line when it is ready, and one more for each
 * line that it reads: `on` begins the flood, `off` ends it, and is answered when nothing of it is under way any more. When its
 * standard input ends it prints `{"calls", "events"}`.
 */
import { once, setMaxListeners } from 'node:events';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const [portText, token, kind] = process.argv.slice(2);
/** `elsewhere`: nobody calls Fairlead, but a server in this process. What requests wait longer then, the callers do to them. */
const port = kind === 'elsewhere' ? await refusingServer() : Number(portText);

/** Of each call that comes again as soon as it is answered. Refusals take turns of 50 ms: these have theirs soon after the end. */
const LOOPS = 4;
const FOLLOWERS = 64;
const CHANGE_MS = 200;
const SCRAPE_MS = 50;
const SLOW_BODIES = 64;
const SLOW_BYTE_MS = 100;
const REFUSED_EVERY_MS = 5;
const TOO_LARGE = Buffer.alloc(2 * 1024 * 1024, ' ');
const TOO_DEEP = Buffer.from('['.repeat(100_000));
/** So that a refusal that costs nothing does not make the loop turn in circles. */
const AFTER_FAILURE_MS = 5;

const RIGHT = { authorization: `Bearer ${token}` };
const JSON_TYPE = { 'content-type': 'application/json' };
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
let calls = 0;
let events = 0;

/** Refuses more calls than Fairlead would. */
async function refusingServer() {
  let turnMs = 0;
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      turnMs = Math.max(turnMs, performance.now()) + REFUSED_EVERY_MS;
      setTimeout(() => response.writeHead(400).end('{}'), turnMs - performance.now());
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server.address().port;
}

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

async function loop(over, one) {
  while (!over.aborted) {
    if ((await one()) === null) await sleep(AFTER_FAILURE_MS);
  }
}

/** As fast as they are answered. */
function repeated(...all) {
  return (over) => Array.from({ length: LOOPS }, (_, turn) => loop(over, all[turn % all.length]));
}

/** Until it is over, whatever the server does. */
function until(over, begin) {
  return new Promise((resolve) => {
    const request = begin(resolve);
    over.addEventListener('abort', () => resolve(request.destroy()), { once: true });
  });
}

function follow(over) {
  return until(over, () => {
    const request = open('GET', '/events', { ...RIGHT, accept: 'text/event-stream' });
    request.on('error', (error) => {
      if (!over.aborted) throw error;
    });
    request.on('response', (response) => {
      if (response.statusCode !== 200) throw new Error(`/events: ${response.statusCode}`);
      response.on('error', () => {});
      response.on('data', (chunk) => {
        events += chunk.toString('latin1').match(/^id:/gm)?.length ?? 0;
      });
    });
    request.end();
    return request;
  });
}

/** A byte now and then, and begun again where it is refused. */
async function sendSlowly(over) {
  while (!over.aborted) {
    let timer;
    await until(over, (resolve) => {
      const headers = { ...RIGHT, ...JSON_TYPE, 'content-length': 1000 };
      const request = open('POST', '/backends', headers);
      request.on('error', resolve);
      request.on('response', (response) => response.resume().on('end', resolve));
      request.write('{');
      timer = setInterval(() => request.write(' '), SLOW_BYTE_MS);
      return request;
    });
    clearInterval(timer);
  }
}

const times = (count, of) => (over) => Array.from({ length: count }, () => of(over));

const tooDeep = repeated(() => call('POST', '/backends', { ...RIGHT, ...JSON_TYPE }, TOO_DEEP));

const FLOODS = {
  'wrong-token': repeated(
    () => call('GET', '/status', { authorization: `Bearer wrong-${Math.random()}` }),
    () => call('GET', '/status', {}),
  ),
  'foreign-origin': repeated(
    () => call('POST', '/reload', { ...RIGHT, origin: 'https://shop.example' }),
    () => call('GET', '/status', { ...RIGHT, host: 'shop.example' }),
  ),
  'too-large': repeated(() => call('POST', '/backends', { ...RIGHT, ...JSON_TYPE }, TOO_LARGE)),
  'too-deep': tooDeep,
  'slow-bodies': times(SLOW_BODIES, sendSlowly),
  followers: times(FOLLOWERS, follow),
};

const scrape = async (over) => {
  while (!over.aborted) {
    await call('GET', '/metrics', RIGHT);
    await sleep(SCRAPE_MS);
  }
};

const KINDS = {
  ...FLOODS,
  all: (over) => [scrape(over), ...Object.values(FLOODS).flatMap((flood) => flood(over))],
  elsewhere: tooDeep,
};
const begin = KINDS[kind];

/** Flood or none: what is compared is whether somebody follows. */
async function changeWeights() {
  const [{ id }] = JSON.parse(await call('GET', '/backends', RIGHT));
  for (let weight = 2; ; weight = 3 - weight) {
    const body = JSON.stringify({ weight });
    await call('PATCH', `/backends/${id}`, { ...RIGHT, ...JSON_TYPE }, body);
    calls--;
    await sleep(CHANGE_MS);
  }
}

function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

if (kind === 'followers' || kind === 'all') void changeWeights();
say({});
let over;
let running = [];
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'on') {
    over = new AbortController();
    setMaxListeners(0, over.signal);
    running = begin(over.signal);
  } else {
    over.abort();
    await Promise.all(running);
  }
  say({});
}
say({ calls, events });
process.exit(0);
