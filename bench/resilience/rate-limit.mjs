/**
 * Far more requests than a rate limit lets through, from one address to both data threads: what is accepted is the
 * allowance, neither twice of it nor less.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { get, load } from './client.mjs';
import { atLeast, atMost, exactly, shown } from './figure.mjs';

const PER_SECOND = 100;
const BURST = 20;
/** So many that the system spreads them over both threads. */
const CONNECTIONS = 32;
/** 32 connections that pause for this ask more than ten times what is allowed. */
const PAUSE_MS = 10;

/** @satisfies {import('./figure.mjs').Experiment} */
export const rateLimit = {
  name: 'rate-limit',
  title: `Rate limit ${PER_SECOND}/s, burst ${BURST}, on 2 data threads`,
  full: { ms: 10_000, tolerance: 0.01 },
  // A busy machine may pause for longer than the burst lasts: then nobody asks for what is allowed.
  short: { ms: 2_000, tolerance: 0.2 },
  async run(place, { ms, tolerance }) {
    const backends = await place.backends(1);
    const fairlead = await place.fairlead(backends.ports, {
      threads: 2,
      rate_limit: { rate: PER_SECOND, per: '1s', burst: BURST, by: 'ip' },
    });
    const began = performance.now();
    let asked = 0;
    let accepted = 0;
    let others = 0;
    await load(
      fairlead.port,
      CONNECTIONS,
      async () => {
        await sleep(PAUSE_MS);
        if (performance.now() - began > ms) return null;
        asked++;
        return get('/');
      },
      ({ status }) => {
        if (status === 200) accepted++;
        else if (status !== 429) others++;
      },
    );
    const ended = performance.now();
    const allowance = (from, to) => BURST + (PER_SECOND * (to - from)) / 1000;
    const allowed = allowance(began, began + ms);
    const [reached] = Object.values(await backends.requests());
    return [
      shown('data threads', fairlead.threads),
      shown('requests', asked),
      shown('allowance', allowed),
      atLeast('accepted', accepted, allowed * (1 - tolerance)),
      // Counted to the last answer: on a busy machine it comes late.
      atMost('accepted', accepted, allowance(began, ended) * 1.01),
      exactly('accepted that reached the backend', reached, accepted),
      exactly('answers other than 200 and 429', others, 0),
    ];
  },
};
