/**
 * One of five backends turns 50 × slower. Clients send a request as soon as they have the answer to their last one, so
 * that those who wait for the slow backend are counted as they are: rarely.
 *
 * All requests that begin from a second after the change on are counted, those that still went to the slow backend too.
 * With both strategies a slow backend gets requests now and then: one that got none could never show that it is well
 * again. Under least-connections it holds as many as every other, and so has 1/50 of another's share. The 99th
 * percentile of everybody's requests therefore tells whether the others are served as before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../statistics.mjs';
import { backendOf, get, load } from './client.mjs';
import { atMost, exactly, shown } from './figure.mjs';

const BACKENDS = 5;
const CONNECTIONS = 40;
const TIMES_SLOWER = 50;

async function slowDown(place, strategy, { delayMs, beforeMs, settleMs, afterMs }) {
  const backends = await place.backends(BACKENDS, { delayMs });
  const fairlead = await place.fairlead(backends.ports, { strategy });
  const [slow] = backends.ports;
  /** @type {(import('./client.mjs').Answer & { port: number | undefined })[]} */
  const answers = [];
  let isOver = false;
  const loaded = load(
    fairlead.port,
    CONNECTIONS,
    () => (isOver ? null : get('/')),
    (answer) => answers.push({ ...answer, port: backendOf(answer) }),
  );
  // Connections are made and code is compiled.
  await sleep(settleMs);
  const beforeFrom = performance.now();
  await sleep(beforeMs);
  await backends.set(slow, { delayMs: delayMs * TIMES_SLOWER });
  const changedAt = performance.now();
  await sleep(settleMs + afterMs);
  isOver = true;
  await loaded;
  const afterFrom = changedAt + settleMs;
  return {
    slow,
    before: answers.filter(
      ({ startMs, durationMs }) => startMs >= beforeFrom && startMs + durationMs < changedAt,
    ),
    after: answers.filter(({ startMs }) => startMs >= afterFrom && startMs < afterFrom + afterMs),
    errors: answers.filter(({ status }) => status !== 200).length,
  };
}

function p99(answers) {
  const sorted = answers.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b);
  return percentile(sorted, 0.99);
}

function experiment(strategy) {
  return {
    name: `slow-${strategy}`,
    title: `One of ${BACKENDS} backends turns ${TIMES_SLOWER} × slower, ${strategy}`,
    full: { delayMs: 20, beforeMs: 3_000, settleMs: 1_000, afterMs: 6_000, isTimed: true },
    short: { delayMs: 10, beforeMs: 300, settleMs: 600, afterMs: 1_000, isTimed: false },
    async run(place, size) {
      const { slow, before, after, errors } = await slowDown(place, strategy, size);
      const others = after.filter(({ port }) => port !== slow);
      const share = (answers) =>
        (answers.filter(({ port }) => port === slow).length / answers.length) * 100;
      const figures = [
        shown('% of requests to it, before', share(before)),
        // Half of the others' share: with no regard to its slowness it would be all of it.
        atMost('% of requests to it, after', share(after), 100 / BACKENDS / 2),
        exactly('errors', errors, 0),
      ];
      if (!size.isTimed) return figures;
      return [
        ...figures,
        shown('p99 of all before, ms', p99(before)),
        shown('p99 of all after, ms', p99(after)),
        shown('p99 of those that others answered, ms', p99(others)),
        atMost('p99 of all, after ÷ before', p99(after) / p99(before), 2),
        atMost('p99 of those that others answered ÷ before', p99(others) / p99(before), 2),
      ];
    },
  };
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const slowUnderPeakEwma = experiment('peak-ewma');
/** @satisfies {import('./figure.mjs').Experiment} */
export const slowUnderLeastConnections = experiment('least-connections');
