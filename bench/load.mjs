/** The load: wrk, h2load, and clients of our own for what these can't do. All of it runs beside the proxy, not on its core. */
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { latencies, parseH2load, parseH2loadLog, parseOwnClient, parseWrk } from './parse.mjs';
import { FIRST_IN_LINE } from './stage.mjs';

const WEBSOCKET_CLIENT = fileURLToPath(new URL('clients/websocket.mjs', import.meta.url));
const HANDSHAKE_CLIENTS = fileURLToPath(new URL('clients/handshakes.mjs', import.meta.url));
const IDLE_CLIENTS = fileURLToPath(new URL('clients/idle.mjs', import.meta.url));

/** A load that hangs is ended well after its time. */
function patience(seconds) {
  return { limitSeconds: seconds + 60 };
}

/**
 * Keep-alive requests, each connection sending the next one when it has an answer.
 * @param {import('./stage.mjs').Stage} stage
 * @param {{ port: number, seconds: number, connections: number, path?: string, isTls?: boolean, header?: string, script?: string }} target
 */
export async function wrk(stage, target) {
  const { port, seconds, connections, path = '/', isTls = false, header, script } = target;
  const commandArguments = [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--latency',
    ...(header === undefined ? [] : ['-H', header]),
    ...(script === undefined ? [] : ['-s', script]),
    `${isTls ? 'https' : 'http'}://127.0.0.1:${port}${path}`,
  ];
  const { output } = await stage.run('wrk', commandArguments, patience(seconds));
  return parseWrk(output);
}

/**
 * HTTP/2, each connection with several streams at once.
 * @param {import('./stage.mjs').Stage} stage
 * @param {{ port: number, seconds: number, connections: number, streams: number, path?: string, isTls?: boolean, fields?: readonly string[], body?: string }} target
 *   `isTls`: true unless it says otherwise; `body`: the file of a body, which is POSTed
 * @returns {Promise<import('./parse.mjs').Loaded>}
 */
export async function h2load(stage, target) {
  const { port, seconds, connections, streams, path = '/', isTls = true } = target;
  const { fields = [], body } = target;
  const { output, requests } = await h2loadLogged(stage, seconds, [
    '-c',
    String(connections),
    '-m',
    String(streams),
    '-D',
    String(seconds),
    ...fields.flatMap((field) => ['-H', field]),
    ...(body === undefined ? [] : ['-d', body]),
    `${isTls ? 'https' : 'http'}://127.0.0.1:${port}${path}`,
  ]);
  const totals = parseH2load(output);
  return { ...totals, ...latencies(requests), perSecond: totals.requests / seconds };
}

/** Time between two clients of `atRate` joining: not a divisor of their interval, so that their requests spread evenly. */
const JOIN_MS = 21;

/** @param {number} clients of `atRate`; in seconds */
export function joiningTime(clients) {
  return (clients * JOIN_MS) / 1000;
}

/**
 * A fixed rate over HTTP/1.1, whatever the answers take; the time in which clients join or leave is not counted.
 * @param {{ port: number, seconds: number, clients: number, perClient: number, isFirst?: boolean }} load `isFirst`: it waits for
 *   nobody (SCHED_FIFO)
 */
export async function atRate(stage, { port, seconds, clients, perClient, isFirst = false }) {
  const joining = joiningTime(clients);
  const prefix = isFirst ? FIRST_IN_LINE : [];
  const { output, requests } = await h2loadLogged(
    stage,
    seconds + joining,
    [
      '--h1',
      '-c',
      String(clients),
      `--rps=${perClient}`,
      '-n',
      String(Math.ceil(clients * perClient * (seconds + joining))),
      '-r',
      '1',
      `--rate-period=${JOIN_MS}ms`,
      `http://127.0.0.1:${port}/`,
    ],
    prefix,
  );
  const first = requests.reduce((start, { startMs }) => Math.min(start, startMs), Infinity);
  const from = first + joining * 1000;
  const steady = requests.filter(
    ({ startMs }) => startMs >= from && startMs < from + seconds * 1000,
  );
  return { errors: parseH2load(output).errors, requests: steady };
}

/** So that no burst of the load meets all of the second client's connections. */
const SECOND_JOIN_MS = 3;
const SECOND_CONNECTIONS = 4;
/** The load has its rate by then. */
const HEAD_START_MS = 300;

/**
 * A load at a fixed rate over HTTP/1.1, whose clients all begin together, and beside it a second client whose requests are
 * told apart.
 * @param {{ port: number, seconds: number, clients: number, rate: number, second: number }} load rates in requests a
 *   second, all clients together
 * @returns {Promise<{ requests: { startMs: number, ms: number }[], total: number, perSecond: number, errors: number }>}
 *   `requests`: those of the second client
 */
export async function besideLoad(stage, { port, seconds, clients, rate, second }) {
  const url = `http://127.0.0.1:${port}/`;
  const whole = seconds + (2 * HEAD_START_MS) / 1000;
  const commandArguments = ['--h1', '-c', String(clients), `--rps=${rate / clients}`];
  const count = ['-n', String(Math.round(rate * whole))];
  const loading = stage.run('h2load', [...commandArguments, ...count, url], patience(whole));
  await sleep(HEAD_START_MS);
  const probing = h2loadLogged(stage, seconds, [
    '--h1',
    '-c',
    String(SECOND_CONNECTIONS),
    `--rps=${second / SECOND_CONNECTIONS}`,
    '-n',
    String(Math.round(second * seconds)),
    '-r',
    '1',
    `--rate-period=${SECOND_JOIN_MS}ms`,
    url,
  ]);
  const [{ output }, probed] = await Promise.all([loading, probing]);
  const loaded = parseH2load(output);
  const probes = parseH2load(probed.output);
  return {
    requests: probed.requests,
    total: loaded.requests + probes.requests,
    perSecond: loaded.requests / whole,
    errors: loaded.errors + probes.errors,
  };
}

async function h2loadLogged(stage, seconds, options, prefix = []) {
  const log = stage.path('h2load.log');
  try {
    const [command, ...commandArguments] = [...prefix, 'h2load', '--log-file', log, ...options];
    const { output } = await stage.run(command, commandArguments, patience(seconds));
    parseH2load(output);
    return { output, requests: parseH2loadLog(readFileSync(log, 'utf8')) };
  } finally {
    rmSync(log, { force: true });
  }
}

/**
 * Messages over WebSocket, each connection sending the next one when it has the echo.
 * @returns {Promise<import('./parse.mjs').Loaded>}
 */
export async function webSocketEcho(stage, { port, seconds, connections }) {
  const client = [WEBSOCKET_CLIENT, String(port), String(connections), String(seconds)];
  const { output, status } = await stage.run(process.execPath, client, patience(seconds));
  if (status !== 0) throw new Error(`the WebSocket client failed: ${output.trim()}`);
  return parseOwnClient(output);
}

/**
 * TLS connections with one request each, over and over; a "request" is a connection.
 * @param {'new' | 'resumed'} kind
 * @returns {Promise<import('./parse.mjs').Loaded>}
 */
export async function tlsConnections(stage, { port, seconds, connections, kind }) {
  const client = [HANDSHAKE_CLIENTS, String(port), String(connections), String(seconds), kind];
  const { output, status } = await stage.run(process.execPath, client, patience(seconds));
  if (status !== 0) throw new Error(`the TLS client failed: ${output.trim()}`);
  return parseOwnClient(output);
}

/**
 * Connections that have had one answer each and stay open.
 * @param {import('./stage.mjs').Stage} stage
 * @param {{ port: number, connections: number, protocol?: 'http1' | 'h2c' | 'h2' }} target `h2`: over TLS
 * @returns {Promise<{ close: () => Promise<number> }>} `close` tells how many were still open
 */
export async function openIdle(stage, { port, connections, protocol = 'http1' }) {
  const child = stage.startLoad(process.execPath, [
    IDLE_CLIENTS,
    String(port),
    String(connections),
    protocol,
  ]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the idle clients ended early');
    const message = JSON.parse(value);
    if (message.error !== undefined) throw new Error(message.error);
    return message;
  };
  await next();
  return {
    async close() {
      child.stdin.end();
      const { open } = await next();
      if (child.exitCode === null) await once(child, 'exit');
      return open;
    },
  };
}
