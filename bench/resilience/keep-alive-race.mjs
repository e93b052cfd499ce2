/**
 * A backend closes its idle connections after every so many requests and never says so: the next request may already
 * be on its way (RFC 9112 §9.5). There is one backend only, so nobody else can help out.
 */
import { get, load } from './client.mjs';
import { exactly, shown } from './figure.mjs';

/** In the last two, every closing meets a request; of the others, those that are noticed too late do. */
const KINDS = [
  { closesHow: 'with the answer', closesAfter: 1 },
  { closesHow: 'with the answer', closesAfter: 3 },
  { closesHow: 'soon', closesAfter: 1 },
  { closesHow: 'soon', closesAfter: 3 },
  { closesHow: 'on the next request', closesAfter: 1 },
  { closesHow: 'on the next request', closesAfter: 3 },
];

/** So far. Counted by Fairlead: of a request that met a closed socket the backend knows nothing. */
async function retriesOf(fairlead) {
  const page = await fairlead.admin('/metrics');
  return [...page.matchAll(/^fairlead_retries_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const keepAliveRace = {
  name: 'keep-alive-race',
  title: 'The keep-alive race, GET',
  full: { rounds: 1_000, connections: 4 },
  short: { rounds: 200, connections: 4 },
  async run(place, { rounds, connections }) {
    const backends = await place.backends(1);
    const fairlead = await place.fairlead(backends.ports);
    const figures = [];
    for (const kind of KINDS) {
      await backends.set(backends.ports[0], kind);
      const before = await retriesOf(fairlead);
      let sent = 0;
      let errors = 0;
      await load(
        fairlead.port,
        connections,
        () => (sent < rounds * kind.closesAfter ? get(`/${++sent}`) : null),
        ({ status }) => {
          if (status !== 200) errors++;
        },
      );
      const again = (await retriesOf(fairlead)) - before;
      const what = `closes ${kind.closesHow}, after ${kind.closesAfter}`;
      figures.push(
        shown(`${what}: requests sent again in ${rounds} rounds`, again),
        exactly(`${what}: errors`, errors, 0),
      );
    }
    return figures;
  },
};
