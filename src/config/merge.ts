/**
 * Layers become one configuration: each is validated by itself, so that every problem is told where it stands, and what
 * is sound is merged, so that what depends on several keys can be judged in the same round.
 */
import { parseDuration } from './duration.ts';
import { validateLayer } from './issues.ts';
import {
  type Finding,
  formatPath,
  type Layer,
  mergeConfigs,
  type Path,
  type RawConfig,
  valueAt,
  withoutKeys,
} from './layer.ts';
import { formatPlace, type Place, type Problem } from './problem.ts';
import { type Config, configSchema } from './schema.ts';

export interface MergedConfig {
  readonly config: Config;
  /** Where the value that won stands. A path that no layer gives is a default. */
  readonly placeOf: (path: Path, part?: 'key' | 'value') => Place;
  readonly isGiven: (path: Path) => boolean;
  /** Whether this top-level key was sound in every layer; otherwise its value here means nothing. */
  readonly isSound: (key: string) => boolean;
  readonly problems: readonly Problem[];
}

/** `layers` in rising order; `earlier` was found while reading them. */
export function mergeLayers(layers: readonly Layer[], earlier: readonly Finding[]): MergedConfig {
  const findings = [...earlier];
  const sound: Layer[] = [];
  for (const layer of layers) {
    const ownEarlier = earlier.filter(({ problem }) => problem.origin === layer.origin);
    const found = validateLayer({ ...layer, value: withoutKeys(layer.value, keysOf(ownEarlier)) });
    findings.push(...found);
    const broken = keysOf([...ownEarlier, ...found]);
    const { layer: settled, finding } = settleResponseTimeout({
      ...layer,
      value: withoutKeys(layer.value, broken),
    });
    if (finding !== undefined) findings.push(finding);
    sound.push(settled);
  }
  const broken = keysOf(findings);
  const merged = sound.reduce<RawConfig>((under, layer) => mergeConfigs(under, layer.value), {});
  const winner = (path: Path): Layer | undefined =>
    sound.findLast((layer) => valueAt(layer.value, path) !== undefined);
  return {
    config: configSchema.parse(merged),
    placeOf: (path, part = 'value') => winner(path)?.place(path, part) ?? { origin: 'default' },
    isGiven: (path) => winner(path) !== undefined,
    isSound: (key) => !broken.has(key),
    problems: findings.map(({ problem }) => problem),
  };
}

function keysOf(findings: readonly Finding[]): Set<string> {
  return new Set(findings.map(({ key }) => key));
}

const RESPONSE_TIMEOUT_PATHS: readonly Path[] = [
  ['timeouts', 'response'],
  ['request_timeout'],
  ['backend_timeout'],
];

/** Three names of one setting become `timeouts.response`; different values for them contradict each other. */
function settleResponseTimeout(layer: Layer): { layer: Layer; finding?: Finding } {
  const given = RESPONSE_TIMEOUT_PATHS.filter((path) => valueAt(layer.value, path) !== undefined);
  const [first, ...others] = given;
  if (first === undefined) return { layer };
  const durationAt = (path: Path): number | undefined => {
    const result = parseDuration(String(valueAt(layer.value, path)));
    return result.ok ? result.ms : undefined;
  };
  const rest = withoutKeys(layer.value, new Set(['request_timeout', 'backend_timeout']));
  const settled: Layer = {
    origin: layer.origin,
    value: mergeConfigs(rest, { timeouts: { response: valueAt(layer.value, first) } }),
    place: (path, part) =>
      formatPath(path) === 'timeouts.response' ? layer.place(first, part) : layer.place(path, part),
  };
  const rival = others.find((path) => durationAt(path) !== durationAt(first));
  if (rival === undefined) return { layer: settled };
  const where = formatPlace(layer.place(first, 'value'));
  return {
    layer: settled,
    finding: {
      key: String(rival[0]),
      problem: {
        ...layer.place(rival, 'value'),
        path: formatPath(rival),
        message: `contradicts ${formatPath(first)} (${where}), which means the same`,
      },
    },
  };
}
