/** From a pool as it is written to `PoolSettings`; what is wrong with its backends, and what has no effect. */

import { formatPlace, type Problem } from '../problem.ts';
import type { BackendAddress, PoolSettings } from '../settings.ts';
import { compileBackendTls, type FolderOf } from './compile-backend-tls.ts';
import { compileDiscovery } from './compile-discovery.ts';
import { compileHealthCheck } from './compile-health-check.ts';
import { compilePolicies } from './compile-policies.ts';
import { type Report, reportOn } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';

export interface PoolSurroundings {
  /** A sentence about a backend that is Fairlead itself. */
  readonly describeOwn: (backend: BackendAddress) => string | undefined;
  readonly folderOf: FolderOf;
}

export function compilePool(
  view: PoolView,
  { describeOwn, folderOf }: PoolSurroundings,
  problems: Problem[],
  notes: string[],
): PoolSettings {
  const { config } = view;
  const report = reportOn(view, problems, notes);
  refuseDuplicates(view, report);
  for (const [index, backend] of config.backends.entries()) {
    const message = describeOwn(backend);
    if (message !== undefined) report.problem(['backends', index], message);
  }
  noteOnBackends(view, report);
  noteOnTimeouts(view, report);
  const { timeouts } = config;
  const discovery = compileDiscovery(view, folderOf, report);
  noteOnProtocol(view, discovery, report);
  const tls = compileBackendTls(view, folderOf, discovery, report);
  return {
    name: view.name,
    strategy: config.strategy,
    backends: config.backends,
    discovery,
    ...compilePolicies(view, report),
    healthCheck: compileHealthCheck(view, tls, report),
    timeouts: {
      connectMs: timeouts.connect,
      responseMs: timeouts.response,
      idleMs: timeouts.idle,
      backendKeepAliveMs: timeouts.backend_keep_alive,
      backendMaxAgeMs: timeouts.backend_max_age,
      backendPingMs: timeouts.backend_ping,
      tunnelMs: timeouts.tunnel,
      totalMs: timeouts.total,
    },
    backendTls: tls,
    hasLenientResponses: config.lenient_responses,
    protocol: config.protocol,
    hostHeader: config.host_header,
    proxyVersion: config.send_proxy_protocol || null,
  };
}

function refuseDuplicates({ config, prefix, placeOf }: PoolView, report: Report): void {
  const firstWith = new Map<string, number>();
  for (const [index, { url }] of config.backends.entries()) {
    const first = firstWith.get(url);
    if (first === undefined) {
      firstWith.set(url, index);
      continue;
    }
    const where = formatPlace(placeOf(['backends', first]));
    report.problem(
      ['backends', index],
      `${url} is the same backend as ${prefix}backends.${first} (${where})`,
    );
  }
}

/** Backends that all stand back are used all the same, as far as they can be; but it may be a slip. */
function noteOnBackends({ config: { backends } }: PoolView, report: Report): void {
  if (backends.length === 0) return;
  if (backends.every(({ isBackup }) => isBackup)) {
    report.note('every backend is a backup: they are used as if none was');
  }
  if (backends.every(({ weight }) => weight === 0)) {
    report.note('every backend has the weight 0: only clients with a sticky session are served');
  }
}

function noteOnTimeouts({ config, isGiven }: PoolView, report: Report): void {
  const { response, total } = config.timeouts;
  if (total === 0 || response < total || !isGiven(['timeouts', 'response'])) return;
  report.note('timeouts.response has no effect beside timeouts.total, which is no longer');
}

function noteOnProtocol(
  { config }: PoolView,
  discovery: PoolSettings['discovery'],
  report: Report,
): void {
  const { protocol, backends, lenient_responses: isLenient } = config;
  const isTls = backends.some(({ tls }) => tls) || discovery?.mayBeTls === true;
  if (protocol === 'auto' && !isTls && backends.length > 0) {
    report.note(
      'protocol is auto, and no backend has https in its URL: they are spoken to in HTTP/1.1. For HTTP/2 without TLS, say h2',
    );
  }
  if (protocol === 'h2' && isLenient) {
    report.note('lenient_responses has no effect while protocol is h2');
  }
}
