/** TLS towards clients, HTTP/1.1 over it. Backends are spoken to in the clear. */
import { readFileSync } from 'node:fs';
import { Skipped } from '../bench.mjs';
import { tlsConnections, wrk } from '../load.mjs';
import { isInstalled } from '../stage.mjs';
import { loadedSeconds, measureLoaded } from './loaded.mjs';

const PEERS = ['nginx', 'haproxy', 'go'];
const CONNECTING_CLIENTS = 8;

async function contestantsOf(bench, proxies) {
  const certificate = await makeCertificate(bench.stage);
  const task = { backends: bench.backend.ports.slice(0, 1), tls: certificate };
  return proxies.map((peer) => ({ name: peer, peer, task }));
}

export function mustHaveH2load() {
  if (!isInstalled('h2load')) {
    throw new Skipped('h2load is not installed (Debian: apt-get install nghttp2-client)');
  }
}

/** @param name of its files. */
export async function makeCertificate(stage, name = 'server') {
  if (!isInstalled('openssl')) {
    throw new Skipped('openssl, which makes the certificate, is not installed');
  }
  const [cert, key] = [stage.path(`${name}.crt`), stage.path(`${name}.key`)];
  const request =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1';
  const { status, output } = await stage.run('openssl', [
    ...request.split(' '),
    '-keyout',
    key,
    '-out',
    cert,
  ]);
  if (status !== 0) throw new Skipped(`openssl made no certificate: ${output.trim()}`);
  const both = stage.write(`${name}.pem`, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
  return { cert, key, both };
}

/** @satisfies {import('../bench.mjs').Scenario} */
export const tlsGet = {
  name: 'tls',
  title: 'TLS',
  about: 'Small GET over kept TLS connections, HTTP/1.1, certificate with an EC key (P-256).',
  peers: PEERS,
  estimate: loadedSeconds,

  async run(bench, proxies) {
    return measureLoaded(bench, await contestantsOf(bench, proxies), ({ stage, options }, target) =>
      wrk(stage, { ...target, isTls: true, connections: options.connections }),
    );
  },
};

/** @returns {import('../bench.mjs').Scenario} */
function connectionsScenario(kind, title, about) {
  return {
    name: `tls-${kind}`,
    title,
    about: `${about} Each over a TLS connection of its own, ${CONNECTING_CLIENTS} clients; a "request" is a connection.`,
    peers: PEERS,
    estimate: loadedSeconds,

    async run(bench, proxies) {
      return measureLoaded(bench, await contestantsOf(bench, proxies), ({ stage }, target) =>
        tlsConnections(stage, { ...target, connections: CONNECTING_CLIENTS, kind }),
      );
    },
  };
}

export const tlsNew = connectionsScenario('new', 'TLS: new connections', 'Small GET.');
export const tlsResumed = connectionsScenario(
  'resumed',
  'TLS: resumed connections',
  'Small GET, with a ticket from an earlier one.',
);
