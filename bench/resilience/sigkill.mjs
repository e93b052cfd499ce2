/**
 * One of three backends is killed with SIGKILL under load, and comes back.
 *
 * A GET costs nobody anything. A POST that the dead one may have begun to act on is never sent again (RFC 9110 §9.2.2):
 * its client gets a 502. Every other POST is answered.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { get, load, post } from './client.mjs';
import { atLeast, atMost, exactly, shown } from './figure.mjs';
import { until } from './place.mjs';

const CONNECTIONS = 64;
/** Long enough for requests to be under way at the moment of the kill. */
const DELAY_MS = 5;
/** How long the load may go on for the backend to come back. */
const RETURN_MS = 30_000;

/** Kills the first of three backends at a quarter of the requests, and starts it again at half of them. */
async function killUnderLoad(place, { requests }, request) {
  const backends = [];
  for (let index = 0; index < 3; index++) {
    backends.push(await place.backends(1, { delayMs: DELAY_MS }));
  }
  const [killed, ...others] = backends;
  const fairlead = await place.fairlead(backends.flatMap(({ ports }) => ports));
  let sent = 0;
  let lastMs = Number.POSITIVE_INFINITY;
  /** @type {{ id: string, status: number, error: string }[]} */
  const failures = [];
  const answered = [];
  let hasReturned = false;
  const loaded = load(
    fairlead.port,
    CONNECTIONS,
    () => {
      const isEnough = sent >= requests && (hasReturned || performance.now() > lastMs);
      return isEnough ? null : request(`r${++sent}`);
    },
    ({ status, error }, text) => {
      const [, id] = /x-id: (\S+)/i.exec(text);
      if (status === 200) answered.push(id);
      else failures.push({ id, status, error });
    },
  );
  await until(() => sent >= requests / 4, 'a quarter of the requests');
  await killed.kill();
  await until(() => sent >= requests / 2, 'half of the requests');
  const reborn = await place.backends(killed.ports, { delayMs: DELAY_MS });
  lastMs = performance.now() + RETURN_MS;
  while (!hasReturned && performance.now() < lastMs) {
    hasReturned = (await reborn.requests())[killed.ports[0]] > 0;
    await sleep(20);
  }
  await loaded;
  return {
    sent,
    answered,
    failures,
    // The one that came back goes on with the file.
    idsOfKilled: killed.ids(),
    idsOfOthers: others.flatMap((other) => other.ids()),
    killedUrl: `http://127.0.0.1:${killed.ports[0]}`,
    servedAfterReturn: (await reborn.requests())[killed.ports[0]],
    log: await fairlead.stopAndReadLog(),
  };
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const sigkillGet = {
  name: 'sigkill-get',
  title: `SIGKILL of one of three backends, ${CONNECTIONS} connections, GET`,
  full: { requests: 40_000 },
  short: { requests: 3_000 },
  async run(place, size) {
    const { sent, failures, servedAfterReturn } = await killUnderLoad(place, size, (id) =>
      get(`/${id}`, [`X-Id: ${id}`, `X-Request-Id: ${id}`]),
    );
    return [
      shown('requests', sent),
      exactly('errors that clients saw', failures.length, 0),
      atLeast('requests that it served after its return', servedAfterReturn, 1),
    ];
  },
};

/** @satisfies {import('./figure.mjs').Experiment} */
export const sigkillPost = {
  name: 'sigkill-post',
  title: `SIGKILL of one of three backends, ${CONNECTIONS} connections, POST`,
  full: { requests: 40_000 },
  short: { requests: 3_000 },
  async run(place, size) {
    const outcome = await killUnderLoad(place, size, (id) =>
      post(`/${id}`, [`X-Id: ${id}`, `X-Request-Id: ${id}`]),
    );
    const { sent, failures, answered, idsOfKilled, idsOfOthers, killedUrl, log } = outcome;
    const lines = new Map(log.map((line) => [line.request_id, line]));
    const notSentThere = failures.filter(({ id }) => {
      const last = lines.get(id)?.attempts.at(-1);
      return last?.backend !== killedUrl || last.outcome !== 'ERR_BACKEND_CLOSED';
    });
    const whole = new Set(answered);
    const unfinished = idsOfKilled.filter((id) => !whole.has(id));
    const seen = [...idsOfKilled, ...idsOfOthers];
    return [
      shown('requests', sent),
      shown('of these, read by the killed one and not answered', unfinished.length),
      // What it had not read yet was lost in its socket buffers: at most one request for each client's connection.
      atMost('errors that clients saw', failures.length, CONNECTIONS),
      exactly('errors of requests not sent to the killed one', notSentThere.length, 0),
      exactly('errors other than 502', failures.filter(({ status }) => status !== 502).length, 0),
      exactly('requests that were sent twice', seen.length - new Set(seen).size, 0),
      atLeast('requests that it served after its return', outcome.servedAfterReturn, 1),
    ];
  },
};
