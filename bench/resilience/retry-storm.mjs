/**
 * All backends accept, read and close without an answer. Every request may be tried again, and if every one were, a
 * pool that fails would get three times its load. Retries have a budget so that it does not (Finagle's, Linkerd's).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, get } from './client.mjs';
import { atLeast, atMost, exactly, shown } from './figure.mjs';

const MOST_ATTEMPTS = 1.3;

/**
 * `requests` at an even rate, whether the earlier ones are answered or not.
 * @returns {Promise<number[]>} the statuses
 */
async function atRate(port, requests, perSecond) {
  const idle = [];
  const began = performance.now();
  const answers = [];
  for (let sent = 0; sent < requests; sent++) {
    const due = began + (sent * 1000) / perSecond;
    await sleep(Math.max(0, due - performance.now()));
    const client = idle.pop() ?? new Client(port);
    answers.push(
      client.request(get(`/${sent}`)).then(({ status }) => {
        idle.push(client);
        return status;
      }),
    );
  }
  const statuses = await Promise.all(answers);
  for (const client of idle) client.close();
  return statuses;
}

async function storm(place, { requests, perSecond }, what, config) {
  const backends = await place.backends(3, { isFailing: true });
  const fairlead = await place.fairlead(backends.ports, config);
  const statuses = await atRate(fairlead.port, requests, perSecond);
  const seen = Object.values(await backends.requests());
  const attempts = seen.reduce((sum, count) => sum + count, 0);
  const others = statuses.filter((status) => status !== 502 && status !== 503);
  return [
    shown(`${what}: requests`, requests),
    // Or else there was no storm.
    atLeast(`${what}: attempts`, attempts, requests / 4),
    atMost(`${what}: attempts ÷ requests`, attempts / requests, MOST_ATTEMPTS),
    exactly(`${what}: requests not answered 502 or 503`, others.length, 0),
  ];
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const retryStorm = {
  name: 'retry-storm',
  title: 'Every backend fails every request',
  full: { requests: 1_000, perSecond: 100 },
  // The reserve, which counts for little in ten seconds, is the larger a part of fewer requests.
  short: { requests: 400, perSecond: 200 },
  async run(place, size) {
    // Without ejection the budget alone must hold; with it, what a user has by default.
    const figures = await Promise.all([
      storm(place, size, 'without ejection', { outlier_detection: false }),
      storm(place, size, 'with ejection', {}),
    ]);
    return figures.flat();
  },
};
