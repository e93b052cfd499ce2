/** The listeners of a merged configuration. */
import type { ListenerAddress, ProxyProtocol } from '../../snapshot/snapshot.ts';
import { speaksTls } from '../certificates/tls-files.ts';
import type { MergedConfig } from '../merge.ts';
import { formatPlace, type Problem } from '../problem.ts';
import { lengthFault } from '../schema/listener-schema.ts';
import type { Config } from '../schema/schema.ts';
import type { ListenerSettings, Settings } from '../settings.ts';
import { nameOfListener } from '../values/listener-name.ts';
import { adminPortOf } from './compile-admin.ts';
import { compileSsl, compileTls, type Reading, type Resolve } from './compile-tls.ts';
import { overlap } from './listener-overlap.ts';

const DEFAULT_MODE = 0o660;
const UNIX = 'unix';
const HTTPS_PORT = 443;

type Written = NonNullable<Config['listeners']>[number];

/** Reads the certificates and keys of each. */
export function compileListeners(
  merged: MergedConfig,
  reading: Reading,
  storeFolder: string | undefined,
): Settings['listeners'] {
  const { config, isGiven, isSound } = merged;
  const { resolve, problems } = reading;
  const written = config.listeners ?? [];
  const hasPlainListener =
    written.some(({ tls }) => tls === undefined) ||
    (isGiven(['port']) && isSound('ssl') && !speaksTls(config.ssl));
  const isInCluster = config.cluster !== false && config.cluster.etcd !== undefined;
  const { placeOf } = merged;
  const outcome = { ...reading, placeOf, storeFolder, isInCluster, hasPlainListener };
  const listeners: ListenerSettings[] = written.map((one, index) => {
    const tls = one.tls && compileTls(one.tls, ['listeners', index, 'tls'], outcome);
    return {
      path: `listeners.${index}`,
      address: addressOf(one, index, resolve),
      tls,
      proxyProtocol: proxyProtocolOf(one),
      httpsPort: 0,
      http2: one.http2,
      h2c: one.h2c,
    };
  });
  if (listeners.length === 0 || isGiven(['port'])) {
    listeners.unshift(listenerOfPort(merged, reading));
  } else {
    problems.push(...withoutPort(merged));
  }
  problems.push(...takenTwice(listeners, merged));
  const [first, ...others] = withRedirects(listeners, merged, problems);
  return [first as ListenerSettings, ...others];
}

function addressOf(one: Written, index: number, resolve: Resolve): ListenerAddress {
  const { host, port, unix, mode = DEFAULT_MODE, fd } = one;
  if (fd !== undefined) return { kind: 'inherited', name: fd };
  if (unix === undefined) return { kind: 'tcp', host, port: port as number };
  const path = resolve(unix, ['listeners', index, 'unix']);
  return { kind: 'unix', path, mode };
}

function proxyProtocolOf({ proxy_protocol: proxies = false }: Written): ProxyProtocol | null {
  if (proxies === false) return null;
  const from = proxies.from.filter((peer) => peer !== UNIX);
  return { from, fromUnix: from.length < proxies.from.length };
}

function listenerOfPort(merged: MergedConfig, reading: Reading): ListenerSettings {
  const { config, isSound } = merged;
  const { host, port } = config;
  // Two that the system chooses differ.
  if (isSound('port') && isSound('admin_port') && port === adminPortOf(config) && port !== 0) {
    reading.problems.push(samePort(merged));
  }
  return {
    path: 'port',
    address: { kind: 'tcp', host, port },
    tls: isSound('ssl') ? compileSsl(merged, reading) : undefined,
    proxyProtocol: null,
    httpsPort: 0,
    http2: !isSound('ssl') || config.ssl.http2,
    h2c: false,
  };
}

/** Where those send their clients that only send them to https. */
function withRedirects(
  listeners: readonly ListenerSettings[],
  merged: MergedConfig,
  problems: Problem[],
): ListenerSettings[] {
  const ports = listeners.flatMap(({ address, tls }) =>
    tls !== undefined && address.kind === 'tcp' ? [address.port] : [],
  );
  const httpsPort = ports.find((port) => port === HTTPS_PORT) ?? ports[0] ?? 0;
  const mayHaveNone = !(merged.isSound('listeners') && merged.isSound('ssl'));
  return listeners.map((listener) => {
    const { path, tls } = listener;
    const index = indexOf(listener);
    if (merged.config.listeners?.[index]?.redirect_to_https !== true) return listener;
    const report = (message: string): void => {
      const place = merged.placeOf(['listeners', index, 'redirect_to_https']);
      problems.push({ ...place, path: `${path}.redirect_to_https`, message });
    };
    if (tls !== undefined) report('is of a listener that does not speak TLS');
    else if (httpsPort === 0 && !mayHaveNone) {
      report('needs a listener with tls and a port, to send clients to');
    }
    return { ...listener, httpsPort };
  });
}

/** In `listeners`; −1: it is the one of `port`. */
function indexOf({ path }: ListenerSettings): number {
  return path === 'port' ? -1 : Number(path.slice(path.indexOf('.') + 1));
}

/** Keys of a listener that there is none of. */
function withoutPort({ isGiven, placeOf }: MergedConfig): Problem[] {
  return ['host', 'ssl']
    .filter((key) => isGiven([key]))
    .map((key) => ({
      ...placeOf([key], 'key'),
      path: key,
      message: 'is of the listener of port, and there is none beside listeners',
      hint: 'write it into the listener',
    }));
}

/** Each address once: what one of them overlaps could not be opened. */
function takenTwice(listeners: readonly ListenerSettings[], merged: MergedConfig): Problem[] {
  const { config, isSound, placeOf } = merged;
  if (!['listeners', 'host', 'port', 'admin_port'].every(isSound)) return [];
  const problems: Problem[] = [];
  const report = (one: ListenerSettings, message: string): void => {
    const key = one.path === 'port' ? [one.path] : ['listeners', indexOf(one)];
    problems.push({ ...placeOf(key), path: one.path, message });
  };
  for (const [index, one] of listeners.entries()) {
    const { address } = one;
    const name = nameOfListener(address);
    const earlier = listeners.slice(0, index).find((other) => overlap(other.address, address));
    if (earlier !== undefined) {
      const where = `${nameOfListener(earlier.address)} of ${earlier.path}`;
      report(one, `${name} can't be listened on beside ${where}`);
    }
    const fault = address.kind === 'unix' ? lengthFault(address.path) : null;
    if (fault !== null) report(one, fault);
    if (one.path !== 'port' && address.kind === 'tcp' && address.port === adminPortOf(config)) {
      const where = formatPlace(placeOf(['admin_port']));
      report(one, `must differ from admin_port, which is ${config.admin_port} too (${where})`);
    }
  }
  return problems;
}

function samePort({ config, placeOf, isGiven }: MergedConfig): Problem {
  const key = isGiven(['admin_port']) ? 'admin_port' : 'port';
  const other = key === 'port' ? 'admin_port' : 'port';
  const where = formatPlace(placeOf([other]));
  return {
    ...placeOf([key]),
    path: key,
    message: `must differ from ${other}, which is ${config.port} too (${where})`,
    ...(key === 'admin_port' || isGiven([other]) ? {} : { hint: `set ${other} to another port` }),
  };
}
