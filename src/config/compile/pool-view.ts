/**
 * The pools of a merged configuration, one like the other: that of the short form, whose keys stand at the top level, and those
 * below `pools`. Paths are those of the short form; what is said to a user has the path as it is written.
 */

import { speaksTls } from '../certificates/tls-files.ts';
import type { MergedConfig } from '../merge.ts';
import { type Path, valueAt } from '../read/layer.ts';
import type { healthCheck } from '../schema/health-check-schema.ts';
import type { poolTimeouts } from '../schema/pool-schema.ts';
import type { Config } from '../schema/schema.ts';
import { DEFAULT_POOL, type Settings } from '../settings.ts';

type LongForm = Config['pools'][string];
type HealthCheckKey = keyof typeof healthCheck & string;

/** In the words of the short form. */
export type PoolConfig = Omit<LongForm, 'health_check' | 'sticky' | 'timeouts' | 'tls'> &
  Pick<
    Config,
    'backend_tls' | 'sticky' | 'sticky_session_ttl' | `health_check_${HealthCheckKey}`
  > & {
    readonly timeouts: Pick<Config['timeouts'], keyof typeof poolTimeouts>;
  };

export interface PoolView extends Pick<MergedConfig, 'placeOf' | 'isGiven' | 'isSound'> {
  readonly name: string;
  readonly config: PoolConfig;
  /** `pools.web.`, or nothing for the short form. */
  readonly prefix: string;
  /** As it is written, but for the prefix: `health_check.path` for `health_check_path`. */
  readonly keyOf: (path: Path) => string;
  /** Whether clients may come by TLS; so it is taken where that could not be read. */
  readonly mayBeAskedByTls: boolean;
}

const HEALTH_CHECK = 'health_check_';

/** The pool `default` is the first, whether it is given or not. */
export function poolViews(merged: MergedConfig): readonly [PoolView, ...PoolView[]] {
  const { [DEFAULT_POOL]: defaultPool, ...others } = merged.config.pools;
  return [
    defaultPool === undefined ? shortForm(merged) : longForm(merged, DEFAULT_POOL, defaultPool),
    ...Object.entries(others).map(([name, pool]) => longForm(merged, name, pool)),
  ];
}

/** Where the pool `default` is described. */
export function formOfDefault({ config }: MergedConfig): Settings['defaultForm'] {
  return valueAt(config.pools, [DEFAULT_POOL]) === undefined ? 'short' : 'long';
}

function shortForm(merged: MergedConfig): PoolView {
  const { config, placeOf, isGiven, isSound } = merged;
  return {
    name: DEFAULT_POOL,
    config,
    prefix: '',
    keyOf: (path) => path.join('.'),
    placeOf,
    isGiven,
    isSound,
    mayBeAskedByTls: mayBeAskedByTls(merged),
  };
}

function longForm(merged: MergedConfig, name: string, pool: LongForm): PoolView {
  const { health_check: check, tls, ...policies } = pool;
  const written = (path: Path): Path => ['pools', name, ...inPool(path)];
  return {
    name,
    config: {
      ...policies,
      backend_tls: tls,
      sticky_session_ttl: policies.sticky === false ? 0 : policies.sticky.ttl,
      health_check_method: check.method,
      health_check_path: check.path,
      health_check_host: check.host,
      health_check_port: check.port,
      health_check_headers: check.headers,
      health_check_expect_status: check.expect_status,
      health_check_expect_body: check.expect_body,
      health_check_service: check.service,
      health_check_frequency: check.frequency,
      health_check_down_frequency: check.down_frequency,
      health_check_timeout: check.timeout,
      health_check_rise: check.rise,
      health_check_fall: check.fall,
    },
    prefix: `pools.${name}.`,
    keyOf: (path) => inPool(path).join('.'),
    placeOf: (path, part) => merged.placeOf(written(path), part),
    isGiven: (path) => merged.isGiven(written(path)),
    isSound: (key) => merged.isSoundAt(written([key]).slice(0, 3)),
    mayBeAskedByTls: mayBeAskedByTls(merged),
  };
}

/** The path below the pool. */
function inPool([key, ...rest]: Path): Path {
  const text = String(key);
  if (text === 'backend_tls') return ['tls', ...rest];
  if (!text.startsWith(HEALTH_CHECK)) return [text, ...rest];
  return ['health_check', text.slice(HEALTH_CHECK.length), ...rest];
}

function mayBeAskedByTls({ config, isSound }: MergedConfig): boolean {
  if (!['ssl', 'listeners', 'trusted_proxies'].every(isSound)) return true;
  const { ssl, listeners = [], trusted_proxies: trusted } = config;
  return speaksTls(ssl) || listeners.some(({ tls }) => tls !== undefined) || trusted.length > 0;
}
