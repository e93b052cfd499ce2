/**
 * Layers become one configuration: each is validated by itself, so that every problem is told where it stands, and what
 * is sound is merged, so that what depends on several keys can be judged in the same round.
 */
import { validateLayer } from './issues.ts';
import type { Place, Problem } from './problem.ts';
import {
  type Finding,
  type Layer,
  mergeConfigs,
  type Path,
  type RawConfig,
  valueAt,
} from './read/layer.ts';
import type { Config, ConfigParser } from './schema/schema.ts';
import { settledPath, settleNames } from './settle.ts';
import { Spoilt } from './spoilt.ts';
import { isSame } from './values/same.ts';

export interface MergedConfig {
  readonly config: Config;
  /** Where the value that won stands. A path that no layer gives is a default. */
  readonly placeOf: (path: Path, part?: 'key' | 'value') => Place;
  readonly isGiven: (path: Path) => boolean;
  /** Whether this top-level key was sound in every layer; otherwise its value here means nothing. */
  readonly isSound: (key: string) => boolean;
  /** The same of a pool, or of one of its keys. */
  readonly isSoundAt: (path: Path) => boolean;
  readonly problems: readonly Problem[];
}

/** `layers` in rising order; `earlier` was found while reading them. */
export function mergeLayers(
  layers: readonly Layer[],
  earlier: readonly Finding[],
  schema: ConfigParser,
): MergedConfig {
  const findings = [...earlier];
  const sound: Layer[] = [];
  const validated: Validated[] = [];
  for (const layer of layers) {
    const ownEarlier = earlier.filter(({ problem }) => problem.origin === layer.origin);
    const value = new Spoilt(ownEarlier).without(layer.value);
    const { findings: found, config } = validateLayer({ ...layer, value }, schema);
    if (config !== undefined && Object.keys(value).length > 0) validated.push({ value, config });
    for (const finding of found) findings.push(finding);
    const spoiltHere = new Spoilt([...ownEarlier, ...found]);
    const settled = settleNames({ ...layer, value: spoiltHere.without(layer.value) });
    for (const finding of settled.findings) findings.push(finding);
    sound.push(settled.layer);
  }
  const spoilt = new Spoilt(findings);
  const merged = sound.reduce<RawConfig>((under, layer) => mergeConfigs(under, layer.value), {});
  const winner = (path: Path): Layer | undefined => {
    const settled = settledPath(path);
    const layer = sound.findLast(({ value }) => isSettledBy(value, settled));
    return layer !== undefined && valueAt(layer.value, settled) !== undefined ? layer : undefined;
  };
  return {
    config: parsed(merged, validated, schema),
    placeOf: (path, part = 'value') =>
      winner(path)?.place(settledPath(path), part) ?? { origin: 'default' },
    isGiven: (path) => winner(path) !== undefined,
    isSound: (key) => !spoilt.has([key]),
    isSoundAt: (path) => !spoilt.has(path),
    problems: findings.map(({ problem }) => problem),
  };
}

interface Validated {
  readonly value: RawConfig;
  readonly config: Config;
}

/** Mostly all that is set stands in the file, which is validated by then: of a thousand routes once is enough. */
function parsed(
  merged: RawConfig,
  [only, ...others]: readonly Validated[],
  schema: ConfigParser,
): Config {
  const isKnown = only !== undefined && others.length === 0 && isSame(merged, only.value);
  return isKnown ? only.config : schema.parse(merged);
}

/** It gives the value, or `false` for a mapping that the value would be in: what lower layers say is void then. */
function isSettledBy(value: RawConfig, path: Path): boolean {
  if (valueAt(value, path) !== undefined) return true;
  return path.some((_, index) => valueAt(value, path.slice(0, index)) === false);
}
