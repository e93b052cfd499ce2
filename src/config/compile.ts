/** From a merged configuration to `Settings`: what depends on several keys, on where a value stands, or on other files. */
import path from 'node:path';
import { compilePools } from './compile-pools.ts';
import { compileRoutes } from './compile-routes.ts';
import type { MergedConfig } from './merge.ts';
import { isLoopback } from './network-address.ts';
import { formOfDefault } from './pool-view.ts';
import { formatPlace, type Problem } from './problem.ts';
import type { Settings } from './settings.ts';
import { readTlsFiles, speaksTls } from './tls-files.ts';

const STATE_FILE_NAME = 'fairlead.state.json';

export interface CompileContext {
  /** Absolute; undefined without a config file. */
  readonly configFile: string | undefined;
  /** What relative paths in the config file are relative to. */
  readonly configFolder: string;
  /** What relative paths in variables and flags are relative to. */
  readonly cwd: string;
}

export type CompileResult =
  | { readonly ok: true; readonly settings: Settings; readonly notes: readonly string[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads the certificate and the key; touches nothing else outside. */
export function compile(merged: MergedConfig, context: CompileContext): CompileResult {
  const { config, placeOf } = merged;
  const problems = [...merged.problems];
  const notes: string[] = [];
  const resolve = (text: string, keys: readonly string[]): string =>
    path.resolve(placeOf(keys).origin === 'file' ? context.configFolder : context.cwd, text);

  if (merged.isSound('port') && merged.isSound('admin_port') && config.port === config.admin_port) {
    problems.push(samePort(merged));
  }
  problems.push(...contradictingLimits(merged));
  if (
    merged.isSound('admin') &&
    config.admin.token === undefined &&
    !isLoopback(config.admin.host)
  ) {
    problems.push({
      ...placeOf(['admin', 'host']),
      path: 'admin.host',
      message: `${config.admin.host} is not a loopback address, so the admin API needs a token`,
      hint: 'set admin.token or FAIRLEAD_ADMIN_TOKEN',
    });
  }
  const pools = compilePools(merged, problems, notes);
  const { routes, routedPools } = compileRoutes(merged, pools, problems, notes);
  const tls = merged.isSound('ssl') ? compileTls(merged, resolve, problems, notes) : undefined;

  const { access_log: accessLog, access_log_format: format } = config;
  const { timeouts, limits } = config;
  const settings: Settings = {
    host: config.host,
    port: config.port,
    admin: { host: config.admin.host, port: config.admin_port, token: config.admin.token },
    threads: config.threads,
    tls,
    pools,
    defaultForm: formOfDefault(merged),
    routes,
    routedPools,
    timeouts: { headMs: timeouts.head, idleMs: timeouts.idle, keepAliveMs: timeouts.keep_alive },
    drainMs: timeouts.drain,
    limits: {
      requestLineBytes: limits.request_line,
      headBytes: limits.head,
      fields: limits.fields,
      bodyBytes: limits.body,
      clientConnections: limits.client_connections,
      connectionsPerClient: limits.connections_per_client,
      bufferedBytes: limits.buffered,
    },
    forwarding: {
      trustedProxies: config.trusted_proxies,
      sendForwarded: config.forwarded,
      sendXForwarded: config.x_forwarded,
      sendVia: config.via,
      rewritesLocation: config.location === 'rewrite',
      upgrades: config.upgrade,
    },
    paths: {
      keepsEncodedSlashes: config.encoded_slashes === 'keep',
      mergesSlashes: config.merge_slashes,
    },
    accessLog:
      accessLog === false
        ? false
        : {
            target: accessLog === true ? 'stdout' : { file: resolve(accessLog, ['access_log']) },
            format,
          },
    logLevel: config.log_level,
    stateFile: stateFile(merged, context, resolve),
    configFile: context.configFile,
  };
  return problems.length > 0 ? { ok: false, problems } : { ok: true, settings, notes };
}

type Resolve = (text: string, keys: readonly string[]) => string;

function stateFile(merged: MergedConfig, context: CompileContext, resolve: Resolve) {
  const given = merged.config.state_file;
  if (given === false) return undefined;
  if (given !== undefined) return resolve(given, ['state_file']);
  return context.configFile === undefined
    ? undefined
    : path.join(context.configFolder, STATE_FILE_NAME);
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

function contradictingLimits({ config, placeOf, isGiven, isSound }: MergedConfig): Problem[] {
  if (!isSound('limits')) return [];
  const { request_line: requestLine, head, client_connections: all } = config.limits;
  const problems: Problem[] = [];
  const report = (key: string, message: string): void => {
    problems.push({ ...placeOf(['limits', key]), path: `limits.${key}`, message });
  };
  if (requestLine > head) {
    report(
      isGiven(['limits', 'request_line']) ? 'request_line' : 'head',
      `request_line (${requestLine} bytes) must not be larger than head (${head} bytes)`,
    );
  }
  const { connections_per_client: ofOne } = config.limits;
  if (all > 0 && ofOne > all) {
    report(
      'connections_per_client',
      `must not be larger than client_connections, which is ${all} (${formatPlace(placeOf(['limits', 'client_connections']))})`,
    );
  }
  return problems;
}

function compileTls(
  { config, placeOf, isGiven }: MergedConfig,
  resolve: Resolve,
  problems: Problem[],
  notes: string[],
): Settings['tls'] {
  const { cert_file: certFile, key_file: keyFile } = config.ssl;
  if (!speaksTls(config.ssl)) return undefined;
  const report = (key: string, message: string): void => {
    const at = isGiven(['ssl', key]) ? ['ssl', key] : ['ssl'];
    problems.push({ ...placeOf(at, 'key'), path: `ssl.${key}`, message });
  };
  if (certFile === undefined) report('cert_file', 'is missing: TLS needs a certificate');
  if (keyFile === undefined) report('key_file', 'is missing: TLS needs a private key');
  if (certFile === undefined || keyFile === undefined) return undefined;
  const result = readTlsFiles(
    resolve(certFile, ['ssl', 'cert_file']),
    resolve(keyFile, ['ssl', 'key_file']),
  );
  if (result.ok) {
    notes.push(...result.notes);
    return result.tls;
  }
  for (const { key, message } of result.faults) {
    problems.push({ ...placeOf(['ssl', key]), path: `ssl.${key}`, message });
  }
  return undefined;
}
