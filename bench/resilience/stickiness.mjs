/**
 * Many clients stay with their backends. One of five is removed: its clients move, and no others. Each client's address
 * comes from a trusted proxy in front (X-Forwarded-For), its name in a header.
 */
import { backendOf, get, load } from './client.mjs';
import { atLeast, exactly } from './figure.mjs';

const BACKENDS = 5;
const CONNECTIONS = 32;
/** Of the clients, at every backend: a fifth is 20 %. */
const LEAST_PERCENT = 10;

const KINDS = [
  {
    what: 'by ip',
    sticky: { by: 'ip', ttl: '1h' },
    field: (client) => `X-Forwarded-For: 10.${client >> 16}.${(client >> 8) & 255}.${client & 255}`,
  },
  {
    what: 'by header',
    sticky: { by: 'header', name: 'x-user', ttl: '1h' },
    field: (client) => `X-User: user-${client}`,
  },
];

/** Each client sends one request: which backend answered it, by the client's number. */
async function askAll(port, clients, field) {
  const backends = [];
  let asked = 0;
  await load(
    port,
    CONNECTIONS,
    () => (asked < clients ? get(`/${asked}`, [field(asked++)]) : null),
    (answer, request) => {
      const [, client] = /^GET \/(\d+)/.exec(request);
      backends[Number(client)] = answer.status === 200 ? backendOf(answer) : undefined;
    },
  );
  return backends;
}

function count(values, predicate) {
  return values.filter(predicate).length;
}

async function removeOne(place, clients, { what, sticky, field }) {
  const backends = await place.backends(BACKENDS);
  const fairlead = await place.fairlead(backends.ports, {
    sticky,
    trusted_proxies: ['127.0.0.1'],
    // Connections of one client reach both.
    threads: 2,
  });
  const first = await askAll(fairlead.port, clients, field);
  const again = await askAll(fairlead.port, clients, field);
  const [removed] = backends.ports;
  const { backends: known } = await fairlead.status();
  const { id } = known.find(({ url }) => url.endsWith(`:${removed}`));
  await fairlead.admin(`/backends/${id}`, { method: 'DELETE' });
  const after = await askAll(fairlead.port, clients, field);
  const later = await askAll(fairlead.port, clients, field);
  const smallest = Math.min(
    ...backends.ports.map((port) => count(first, (backend) => backend === port)),
  );
  const mine = `${what}, ${fairlead.threads} threads`;
  return [
    atLeast(`${mine}: % of clients at each backend`, (smallest / clients) * 100, LEAST_PERCENT),
    exactly(
      `${mine}: clients that moved before`,
      count(first, (backend, client) => again[client] !== backend),
      0,
    ),
    exactly(
      `${mine}: clients of others that moved`,
      count(first, (backend, client) => backend !== removed && after[client] !== backend),
      0,
    ),
    exactly(
      `${mine}: its clients without another`,
      count(after, (backend) => backend === undefined || backend === removed),
      0,
    ),
    exactly(
      `${mine}: clients that moved afterwards`,
      count(after, (backend, client) => later[client] !== backend),
      0,
    ),
  ];
}

/** @satisfies {import('./figure.mjs').Experiment} */
export const stickiness = {
  name: 'stickiness',
  title: `Sticky sessions, one of ${BACKENDS} backends is removed`,
  full: { clients: 10_000 },
  short: { clients: 1_000 },
  async run(place, { clients }) {
    const figures = await Promise.all(KINDS.map((kind) => removeOne(place, clients, kind)));
    return figures.flat();
  },
};
