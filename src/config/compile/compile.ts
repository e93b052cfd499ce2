/** From a merged configuration to `Settings`: what depends on several keys, on where a value stands, or on other files. */
import path from 'node:path';
import type { Certificate } from '../certificates/certificate-facts.ts';
import { distinct, type FileFault } from '../certificates/kept-certificates.ts';
import type { MergedConfig } from '../merge.ts';
import { formatPlace, type Problem } from '../problem.ts';
import type { Settings, ValueOrigin } from '../settings.ts';
import { acmeProblems, notesOnAcme } from './acme-notes.ts';
import { compileAccessLog } from './compile-access-log.ts';
import { compileAdmin } from './compile-admin.ts';
import { compileCluster } from './compile-cluster.ts';
import { compileListeners } from './compile-listeners.ts';
import { compilePools } from './compile-pools.ts';
import { compileRoutes } from './compile-routes.ts';
import { compileSharing } from './compile-sharing.ts';
import type { Resolve } from './compile-tls.ts';
import { compileTracing } from './compile-tracing.ts';
import { ErrorPageReader } from './error-pages.ts';
import { formOfDefault } from './pool-view.ts';

const STATE_FILE_NAME = 'fairlead.state.json';

export interface CompileContext {
  /** Absolute; undefined without a config file. */
  readonly configFile: string | undefined;
  /** What relative paths in the config file are relative to. */
  readonly configFolder: string;
  /** What relative paths in variables and flags are relative to. */
  readonly cwd: string;
  /** See `Reading`. */
  readonly certificatesInUse: readonly Certificate[] | undefined;
}

export type CompileResult =
  | {
      readonly ok: true;
      readonly settings: Settings;
      readonly notes: readonly string[];
      readonly faults: readonly FileFault[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads certificates and keys; touches nothing else outside. */
export function compile(merged: MergedConfig, context: CompileContext): CompileResult {
  const { config, placeOf } = merged;
  const problems = [...merged.problems];
  const notes: string[] = [];
  const folderOf = (origin: ValueOrigin): string =>
    origin === 'file' || origin === 'store' ? context.configFolder : context.cwd;
  const resolve: Resolve = (text, keys) => path.resolve(folderOf(placeOf(keys).origin), text);

  const { certificatesInUse: inUse } = context;
  const faults: FileFault[] = [];
  const kept = stateFile(merged, context, resolve);
  const reading = { resolve, problems, notes, inUse, faults };
  const listeners = compileListeners(merged, reading, storeFolder(kept, context));
  problems.push(...acmeProblems(listeners, merged), ...contradictingLimits(merged));
  const admin = compileAdmin(merged, { resolve, problems, notes, listeners });
  const pools = compilePools(merged, { listeners, admin }, folderOf, problems, notes);
  const pages = new ErrorPageReader(merged, resolve, problems, notes);
  const errorPages = pages.read(config.error_pages, ['error_pages']);
  const { routes, routedPools } = compileRoutes(merged, pools, problems, notes, pages);

  notes.push(...notesOnAcme(listeners, routes));
  const accessLog = compileAccessLog(merged, resolve, problems);
  const { timeouts, limits } = config;
  const settings: Settings = {
    listeners,
    admin,
    threads: config.threads,
    pools,
    defaultForm: formOfDefault(merged),
    routes,
    routedPools,
    errorPages,
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
      keptRequestsBytes: limits.kept_requests,
      http2: {
        streams: limits.http2_streams,
        resets: limits.http2_resets,
        controlFrames: limits.http2_control_frames,
        continuations: limits.http2_continuations,
      },
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
    accessLog,
    tracing: compileTracing(merged, problems),
    ...compileSharing(merged, resolve, problems, notes),
    cluster: compileCluster(merged, {
      admin,
      folder: storeFolder(kept, context),
      resolve,
      problems,
      notes,
    }),
    logLevel: config.log_level,
    isWatched: config.watch,
    stateFile: kept,
    configFile: context.configFile,
  };
  return problems.length > 0
    ? { ok: false, problems }
    : { ok: true, settings, notes, faults: distinct(faults) };
}

function stateFile(merged: MergedConfig, context: CompileContext, resolve: Resolve) {
  const given = merged.config.state_file;
  if (given === false) return undefined;
  if (given !== undefined) return resolve(given, ['state_file']);
  return context.configFile === undefined
    ? undefined
    : path.join(context.configFolder, STATE_FILE_NAME);
}

/** Of what is to outlive the process. */
function storeFolder(kept: string | undefined, { configFile, configFolder }: CompileContext) {
  if (kept !== undefined) return path.dirname(kept);
  return configFile === undefined ? undefined : configFolder;
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
