/**
 * Several names of one setting, brought to one: in each layer by itself, so that a layer by any name wins over a lower
 * one by any other. What a layer says twice, and differently, contradicts itself.
 */

import { formatPlace } from './problem.ts';
import {
  type Finding,
  formatPath,
  isMapping,
  type Layer,
  mergeConfigs,
  type Path,
  type RawConfig,
  spoiltBy,
  valueAt,
  withoutKeys,
} from './read/layer.ts';
import { parseDuration } from './values/duration.ts';

export interface Settled {
  readonly layer: Layer;
  readonly findings: readonly Finding[];
}

/** `layer` holds only what is sound. */
export function settleNames(layer: Layer): Settled {
  const findings: Finding[] = [];
  let settled = layer;
  for (const settle of [settleResponseTimeout, settleSessionTtl, settleStickiness, settleTrue]) {
    const result = settle(settled);
    settled = result.layer;
    findings.push(...result.findings);
  }
  return { layer: settled, findings };
}

/** Where a setting ends up that stands under another name in the file. */
export function settledPath(path: Path): Path {
  return formatPath(path) === 'sticky.ttl' ? ['sticky_session_ttl'] : path;
}

function settleResponseTimeout(layer: Layer): Settled {
  const names = [['timeouts', 'response'], ['request_timeout'], ['backend_timeout']];
  const { first, findings } = durationUnder(layer, names);
  if (first === undefined) return { layer, findings };
  const rest = withoutKeys(layer.value, new Set(['request_timeout', 'backend_timeout']));
  const value = mergeConfigs(rest, { timeouts: { response: valueAt(layer.value, first) } });
  return { layer: movedLayer(layer, value, { 'timeouts.response': first }), findings };
}

/** The top-level name is the settled one: it may stand in a layer that leaves sticky sessions to another. */
function settleSessionTtl(layer: Layer): Settled {
  const { first, findings } = durationUnder(layer, [['sticky', 'ttl'], ['sticky_session_ttl']]);
  if (first === undefined) return { layer, findings };
  const { sticky } = layer.value;
  const value = {
    ...layer.value,
    ...(isMapping(sticky) ? { sticky: withoutKeys(sticky, new Set(['ttl'])) } : {}),
    sticky_session_ttl: valueAt(layer.value, first),
  };
  return { layer: movedLayer(layer, value, { sticky_session_ttl: first }), findings };
}

/** The durations under these names; different ones contradict each other. */
function durationUnder(
  layer: Layer,
  names: readonly Path[],
): { readonly first: Path | undefined; readonly findings: readonly Finding[] } {
  const [first, ...others] = names.filter((path) => valueAt(layer.value, path) !== undefined);
  if (first === undefined) return { first, findings: [] };
  const durationAt = (path: Path): number | undefined => {
    const result = parseDuration(String(valueAt(layer.value, path)));
    return result.ok ? result.ms : undefined;
  };
  const rival = others.find((path) => durationAt(path) !== durationAt(first));
  if (rival === undefined) return { first, findings: [] };
  return { first, findings: [contradiction(layer, rival, first, 'which means the same')] };
}

/** `enable_sticky_sessions` becomes `sticky`. */
function settleStickiness(layer: Layer): Settled {
  const { enable_sticky_sessions: isEnabled, sticky } = layer.value;
  if (isEnabled === undefined) return { layer, findings: [] };
  const name = ['enable_sticky_sessions'];
  const rest = withoutKeys(layer.value, new Set(name));
  if (sticky === undefined) {
    const value = { ...rest, sticky: isEnabled === true ? { by: 'ip' } : false };
    return {
      layer: movedLayer(layer, value, { sticky: name, 'sticky.by': name }),
      findings: [],
    };
  }
  const by = valueAt(sticky, ['by']);
  const findings: Finding[] = [];
  if (isEnabled === true && sticky === false) {
    findings.push(contradiction(layer, name, ['sticky'], 'which is false'));
  } else if (isEnabled === true && by !== undefined && by !== 'ip') {
    const reason = `which is ${String(by)}: true stands for ip`;
    findings.push(contradiction(layer, name, ['sticky', 'by'], reason));
  } else if (isEnabled === false && sticky !== false) {
    findings.push(contradiction(layer, name, ['sticky'], 'which turns sticky sessions on'));
  }
  if (isEnabled !== true || by !== undefined || !isMapping(sticky)) {
    return { layer: { ...layer, value: rest }, findings };
  }
  const value = { ...rest, sticky: { ...sticky, by: 'ip' } };
  return { layer: movedLayer(layer, value, { 'sticky.by': name }), findings };
}

const SWITCHES: ReadonlySet<string> = new Set(['outlier_detection', 'circuit_breaker']);

/** `true` turns a policy on and leaves its values to lower layers, as `{ enabled: true }` does. */
function settleTrue(layer: Layer): Settled {
  const { pools } = layer.value;
  const value = withSettledSwitches(layer.value);
  if (!isMapping(pools)) return { layer: { ...layer, value }, findings: [] };
  const settled = Object.entries(pools).map(([name, pool]) => [
    name,
    isMapping(pool) ? withSettledSwitches(pool) : pool,
  ]);
  return {
    layer: { ...layer, value: { ...value, pools: Object.fromEntries(settled) } },
    findings: [],
  };
}

function withSettledSwitches(policies: RawConfig): RawConfig {
  const settled = Object.entries(policies).map(([key, value]): [string, unknown] =>
    value === true && SWITCHES.has(key) ? [key, { enabled: true }] : [key, value],
  );
  return Object.fromEntries(settled);
}

/** `layer` with other values, and where those stand that were moved: their new path to their old one. */
function movedLayer(
  layer: Layer,
  value: Layer['value'],
  moved: Readonly<Record<string, Path>>,
): Layer {
  const places = new Map(Object.entries(moved));
  return {
    origin: layer.origin,
    value,
    place: (path, part) => layer.place(places.get(formatPath(path)) ?? path, part),
  };
}

function contradiction(layer: Layer, rival: Path, first: Path, reason: string): Finding {
  const where = formatPlace(layer.place(first, 'value'));
  return {
    spoils: spoiltBy(rival),
    problem: {
      ...layer.place(rival, 'value'),
      path: formatPath(rival),
      message: `contradicts ${formatPath(first)} (${where}), ${reason}`,
    },
  };
}
