/** From a pool as it is written to `PoolSettings`; what is wrong with its backends, and what has no effect. */
import { compilePolicies } from './compile-policies.ts';
import { formatDuration } from './duration.ts';
import { type Report, reportOn } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';
import { formatPlace, type Problem } from './problem.ts';
import type { BackendAddress, PoolSettings } from './settings.ts';

const DEFAULT_DOWN_INTERVAL_MS = 1000;
const DEFAULT_CHECK_TIMEOUT_MS = 5000;

/**
 * @param describeOwn a sentence about a backend that is Fairlead itself.
 */
export function compilePool(
  view: PoolView,
  describeOwn: (backend: BackendAddress) => string | undefined,
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
  noteOnChecks(view, report);
  const { timeouts } = config;
  return {
    name: view.name,
    strategy: config.strategy,
    backends: config.backends,
    ...compilePolicies(view, report),
    healthCheck: compileHealthCheck(view),
    timeouts: {
      connectMs: timeouts.connect,
      responseMs: timeouts.response,
      idleMs: timeouts.idle,
      backendKeepAliveMs: timeouts.backend_keep_alive,
      backendMaxAgeMs: timeouts.backend_max_age,
      tunnelMs: timeouts.tunnel,
      totalMs: timeouts.total,
    },
    hasLenientResponses: config.lenient_responses,
    hostHeader: config.host_header,
  };
}

function compileHealthCheck({ config, isGiven }: PoolView): PoolSettings['healthCheck'] {
  const frequencyMs = config.health_check_frequency;
  return {
    method: config.health_check_method ?? (isGiven(['health_check_path']) ? 'http' : 'auto'),
    path: config.health_check_path,
    intervalMs: frequencyMs,
    downIntervalMs:
      config.health_check_down_frequency ?? Math.min(frequencyMs, DEFAULT_DOWN_INTERVAL_MS),
    timeoutMs: config.health_check_timeout ?? Math.min(DEFAULT_CHECK_TIMEOUT_MS, frequencyMs),
    isLenient: config.lenient_responses,
    rise: config.health_check_rise,
    fall: config.health_check_fall,
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

function noteOnChecks({ config, keyOf }: PoolView, report: Report): void {
  const { health_check_frequency: upMs, health_check_down_frequency: downMs = 0 } = config;
  if (downMs <= upMs) return;
  const [up, down] = [keyOf(['health_check_frequency']), keyOf(['health_check_down_frequency'])];
  report.note(
    `${down} is longer than ${up}, which is ${formatDuration(upMs)}: what is down is checked less often than what is up, and comes back late`,
  );
}
