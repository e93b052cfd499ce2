/** The configuration in force, in the words of a config file: made from `Settings`, so that it cannot say anything else. */

import { isMapping } from '../read/layer.ts';
import type { RedisSettings } from '../redis-settings.ts';
import type { Settings, TlsSettings, ValueOrigin } from '../settings.ts';
import { formatDuration } from '../values/duration.ts';
import { isSame } from '../values/same.ts';
import { formatSize } from '../values/size.ts';
import { accessLogOf } from './effective-access-log.ts';
import { formatMode, listenersOf } from './effective-listener.ts';
import {
  backendTlsOf,
  hostHeaderOf,
  longFormOf,
  policiesOf,
  poolTimeoutsOf,
  shortFormOf,
} from './effective-pool.ts';
import { isLeftOut, routeOf } from './effective-route.ts';
import { errorPagesOf } from './effective-route-action.ts';
import { sslOf } from './effective-tls.ts';

/** Where a value comes from. */
export interface ValueSource {
  readonly origin: ValueOrigin;
  /** `fairlead.config.yaml:3`, the variable or the flag; empty for a default. */
  readonly detail: string;
}

/** Keyed by path: `port`, `timeouts.head`, `backends`, `backends.0`, `backends.0.weight`. */
export type Origins = ReadonlyMap<string, ValueSource>;

export interface EffectiveConfig {
  /** A complete config: read back, it means the same, but for secrets (`***`). */
  readonly config: Readonly<Record<string, unknown>>;
  /** For every path of `config`: `default`, `file fairlead.config.yaml:3`, `environment FAIRLEAD_PORT`, `flag --port`. */
  readonly origins: Readonly<Record<string, string>>;
}

const HIDDEN = '***';

/** @param loaded its origins are asked for only where those of the result are. */
export function effectiveConfig(loaded: {
  readonly settings: Settings;
  readonly origins: Origins;
}): EffectiveConfig {
  const config = configOf(loaded.settings);
  let described: Readonly<Record<string, string>> | undefined;
  return {
    config,
    // Of many pools and routes it takes longer than to read them, and a reload does not ask for it.
    get origins() {
      described ??= Object.fromEntries(
        pathsOf(config).map((path) => [path, formatSource(loaded.origins.get(path))]),
      );
      return described;
    },
  };
}

/** What differs between two configs, by path: `strategy`, `backends`, `timeouts.head`. A list is one value. */
export function changedPaths(before: unknown, after: unknown, path = ''): string[] {
  if (!isMapping(before) || !isMapping(after)) {
    return isSame(before, after) ? [] : [path];
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) =>
    changedPaths(before[key], after[key], path === '' ? key : `${path}.${key}`),
  );
}

function formatSource(source: ValueSource | undefined): string {
  if (source === undefined || source.detail === '') return source?.origin ?? 'default';
  return `${source.origin} ${source.detail}`;
}

/** The path of every value, of every list and of every item of a list. */
export function pathsOf(value: unknown, path = ''): string[] {
  const below = (key: string | number): string => (path === '' ? String(key) : `${path}.${key}`);
  if (Array.isArray(value)) {
    return [path, ...value.flatMap((item, index) => pathsOf(item, below(index)))];
  }
  if (!isMapping(value)) return [path];
  return Object.entries(value).flatMap(([key, item]) => pathsOf(item, below(key)));
}

export function configOf(settings: Settings): Readonly<Record<string, unknown>> {
  const { admin, limits, forwarding, accessLog } = settings;
  const [pool, ...others] = settings.pools;
  const isShort = settings.defaultForm === 'short';
  const pools = isShort ? others : settings.pools;
  const routes = settings.routes.filter((route) => !isLeftOut(route));
  return {
    ...addressOf(settings),
    ...listenersOf(settings),
    admin_port: admin.port,
    admin: adminOf(admin),
    threads: settings.threads,
    ...(isShort ? shortFormOf(pool, settings.routes.some(isLeftOut)) : {}),
    timeouts: timeoutsOf(settings),
    limits: {
      request_line: formatSize(limits.requestLineBytes),
      head: formatSize(limits.headBytes),
      fields: limits.fields,
      body: formatSize(limits.bodyBytes),
      client_connections: limits.clientConnections,
      connections_per_client: limits.connectionsPerClient,
      buffered: formatSize(limits.bufferedBytes),
      kept_requests: formatSize(limits.keptRequestsBytes),
      http2_streams: limits.http2.streams,
      http2_resets: limits.http2.resets,
      http2_control_frames: limits.http2.controlFrames,
      http2_continuations: limits.http2.continuations,
    },
    ...(isShort ? policiesOf(pool) : {}),
    ...(isShort && pool.backendTls !== null ? { backend_tls: backendTlsOf(pool.backendTls) } : {}),
    ...(isShort
      ? {
          protocol: pool.protocol,
          host_header: hostHeaderOf(pool),
          send_proxy_protocol: pool.proxyVersion ?? false,
        }
      : {}),
    trusted_proxies: forwarding.trustedProxies,
    forwarded: forwarding.sendForwarded,
    x_forwarded: forwarding.sendXForwarded,
    via: forwarding.sendVia,
    location: forwarding.rewritesLocation ? 'rewrite' : 'keep',
    upgrade: forwarding.upgrades,
    ...pathRulesOf(settings, routes.length > 0),
    ...(isShort ? { lenient_responses: pool.hasLenientResponses } : {}),
    ...accessLogOf(accessLog),
    ...tracingOf(settings),
    ...clusterOf(settings),
    log_level: settings.logLevel,
    watch: settings.isWatched,
    state_file: settings.stateFile ?? false,
    ...(settings.errorPages.length === 0 ? {} : { error_pages: errorPagesOf(settings.errorPages) }),
    ...shortTlsOf(settings),
    ...(pools.length === 0
      ? {}
      : { pools: Object.fromEntries(pools.map((one) => [one.name, longFormOf(one)])) }),
    ...(routes.length === 0 ? {} : { routes: routes.map(routeOf) }),
  };
}

function adminOf({ isOff, host, unix, tls, token, tokens, rates }: Settings['admin']) {
  if (isOff) return false;
  return {
    ...(unix === null ? { host } : { unix: unix.path, mode: formatMode(unix.mode) }),
    ...(tls === undefined ? {} : { tls: adminTlsOf(tls) }),
    ...(token === undefined ? {} : { token: HIDDEN }),
    ...(tokens === null ? {} : { tokens_file: tokens.file }),
    rate_limit: rates ?? false,
  };
}

function adminTlsOf({ certificates, clientCertificates }: TlsSettings) {
  const [one] = certificates;
  return {
    cert_file: one?.certFile,
    key_file: one?.keyFile,
    ...(clientCertificates !== null && { client_ca_file: clientCertificates.caFile }),
  };
}

/** Of the listener that these keys describe, if there is one. */
function addressOf({ listeners: [{ path, address }] }: Settings) {
  if (path !== 'port' || address.kind !== 'tcp') return {};
  return { port: address.port, host: address.host ?? '*' };
}

function shortTlsOf({ listeners: [listener] }: Settings) {
  return listener.path === 'port' ? { ssl: sslOf(listener) } : {};
}

/** Without routes nobody looks at paths: said is only what was set. */
function pathRulesOf({ paths }: Settings, hasRoutes: boolean) {
  const { keepsEncodedSlashes: keeps, mergesSlashes: merges } = paths;
  return {
    ...(hasRoutes || keeps ? { encoded_slashes: keeps ? 'keep' : 'reject' } : {}),
    ...(hasRoutes || !merges ? { merge_slashes: merges } : {}),
  };
}

function tracingOf({ tracing }: Settings) {
  if (tracing === null) return { tracing: false };
  const { endpoint, headers, sample, serviceName } = tracing;
  return {
    tracing: {
      ...(endpoint !== undefined && { endpoint }),
      headers: Object.fromEntries(headers.map(([name]) => [name, HIDDEN])),
      sample,
      ...(serviceName !== undefined && { service_name: serviceName }),
    },
  };
}

function clusterOf({ cluster, instances, redis }: Settings) {
  const shared = {
    ...(instances > 1 && { instances }),
    ...(redis !== null && { redis: redisOf(redis) }),
  };
  if (cluster === null) return { cluster: Object.keys(shared).length > 0 && shared };
  const { name, instance, address, etcd, key, keyFile, snapshotFile } = cluster;
  const { endpoints, prefix, files, login } = etcd;
  return {
    cluster: {
      ...shared,
      name,
      instance,
      ...(address !== null && { address }),
      etcd: {
        endpoints,
        ...(files !== null && { tls: files }),
        ...(login !== null && { user: login.user, password: HIDDEN }),
        prefix,
      },
      ...(keyFile !== undefined && { key_file: keyFile }),
      ...(key !== undefined && keyFile === undefined && { key: HIDDEN }),
      snapshot_file: snapshotFile ?? false,
    },
  };
}

function redisOf({ url, username, password, passwordFile, prefix, tls, files }: RedisSettings) {
  const serverName = tls.servername;
  const ofTls = { ...files, ...(serverName !== undefined && { server_name: serverName }) };
  return {
    url,
    ...(username !== undefined && { username }),
    ...(passwordFile !== undefined && { password_file: passwordFile }),
    ...(passwordFile === undefined && password !== undefined && { password: HIDDEN }),
    prefix,
    ...(Object.keys(ofTls).length > 0 && { tls: ofTls }),
  };
}

function timeoutsOf({ timeouts: ofClients, drainMs, defaultForm, pools: [pool] }: Settings) {
  const head = formatDuration(ofClients.headMs);
  const idle = formatDuration(ofClients.idleMs);
  const keepAlive = formatDuration(ofClients.keepAliveMs);
  const drain = formatDuration(drainMs);
  if (defaultForm === 'long') return { head, idle, keep_alive: keepAlive, drain };
  const { connect, response, backend_keep_alive, backend_max_age, backend_ping, tunnel, total } =
    poolTimeoutsOf(pool);
  return {
    head,
    connect,
    response,
    idle,
    keep_alive: keepAlive,
    backend_keep_alive,
    backend_max_age,
    backend_ping,
    tunnel,
    total,
    drain,
  };
}
