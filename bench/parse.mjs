/** Reading what wrk and h2load print. Durations come out in milliseconds. */
import { percentile } from './statistics.mjs';

const MILLISECONDS = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/**
 * @typedef {object} Loaded what a load did in one interval
 * @property {number} requests that were answered
 * @property {number} perSecond
 * @property {number} p50Ms
 * @property {number} p99Ms
 * @property {number} errors requests that failed, or were answered with anything but 2xx or 3xx
 */

/** A line of wrk's latency distribution. Other lines end in a percentage too. */
function wrkPercentileMs(output, percent) {
  const line = new RegExp(`^ +${percent}% +([\\d.]+)(us|ms|s|m)$`, 'm').exec(output);
  return line === null ? NaN : Number(line[1]) * MILLISECONDS[line[2]];
}

/**
 * The output of `wrk --latency`.
 * @returns {Loaded}
 */
export function parseWrk(output) {
  const requests = Number(/(\d+) requests in/.exec(output)?.[1] ?? 0);
  if (requests === 0) throw new Error(`wrk had no answer: ${output.trim()}`);
  const socketErrors = /Socket errors: (.*)/.exec(output)?.[1] ?? '';
  const counts = [...socketErrors.matchAll(/\d+/g)].map(([count]) => Number(count));
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0);
  return {
    requests,
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)[1]),
    p50Ms: wrkPercentileMs(output, 50),
    p99Ms: wrkPercentileMs(output, 99),
    errors: counts.reduce((sum, count) => sum + count, refused),
  };
}

/**
 * The totals that h2load prints at its end.
 * @returns {{ requests: number, errors: number }}
 */
export function parseH2load(output) {
  const totals =
    /requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed/.exec(output);
  if (totals === null || totals[3] === '0')
    throw new Error(`h2load had no answer: ${output.trim()}`);
  return { requests: Number(totals[2]), errors: Number(totals[4]) };
}

/**
 * The log of h2load: a line per request with its start (µs since the epoch), its status and its duration (µs).
 * @returns {{ startMs: number, ms: number }[]} the requests that were answered
 */
export function parseH2loadLog(text) {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t').map(Number))
    .filter(([, status]) => status > 0)
    .map(([start, , duration]) => ({ startMs: start / 1000, ms: duration / 1000 }));
}

/**
 * The output of clients/websocket.mjs.
 * @returns {Loaded}
 */
export function parseOwnClient(output) {
  const loaded = JSON.parse(output);
  if (loaded.requests === 0) throw new Error('the client had no answer');
  return loaded;
}

/** @param {readonly { ms: number }[]} requests */
export function latencies(requests) {
  const sorted = requests.map(({ ms }) => ms).toSorted((a, b) => a - b);
  if (sorted.length === 0) return { p50Ms: NaN, p99Ms: NaN, p999Ms: NaN, maxMs: NaN };
  return {
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    p999Ms: percentile(sorted, 0.999),
    maxMs: sorted.at(-1),
  };
}
