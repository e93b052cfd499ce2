/**
 * A layer: the values that one origin (file, environment, flags) gives, before validation. Later layers win key by
 * key, also inside a mapping such as `timeouts`; a list replaces a list.
 */
import type { Place, Problem } from '../problem.ts';
import type { ValueOrigin } from '../settings.ts';

export type Path = readonly PropertyKey[];
export type RawConfig = Readonly<Record<string, unknown>>;

export interface Layer {
  readonly origin: Exclude<ValueOrigin, 'default'>;
  readonly value: RawConfig;
  /** Where the key or the value at a path stands. */
  readonly place: (path: Path, part: 'key' | 'value') => Place;
}

/** A problem, and the part of the config that it spoils: a key may hold a dot, so the problem's path does not tell. */
export interface Finding {
  readonly spoils: Path;
  readonly problem: Problem;
}

/** What a problem at this path spoils: a top-level key, but of a pool only one of its keys. All else can still be judged. */
export function spoiltBy(path: Path): Path {
  return path.slice(0, path[0] === 'pools' ? 3 : 1);
}

/** One value from a variable or a flag: its name, and the path in the config that it sets. */
export interface NamedValue {
  readonly name: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function formatPath(path: Path): string {
  return path.map(String).join('.');
}

/** Undefined when there is nothing. Own properties only: a path may come from anyone's text. */
export function valueAt(value: unknown, path: Path): unknown {
  let current = value;
  for (const segment of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, segment)) {
      return undefined;
    }
    current = (current as Record<PropertyKey, unknown>)[segment];
  }
  return current;
}

/** `over` wins. New objects all the way; neither argument changes. */
export function mergeConfigs(under: RawConfig, over: RawConfig): RawConfig {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const before = merged.get(key);
    merged.set(key, isMapping(before) && isMapping(value) ? mergeConfigs(before, value) : value);
  }
  return Object.fromEntries(merged);
}

export function withoutKeys(value: RawConfig, keys: ReadonlySet<string>): RawConfig {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.has(key)));
}

/** A layer of variables or flags. Where two set the same path, the later one wins. */
export function layerOfNamedValues(
  origin: 'environment' | 'flag',
  values: readonly NamedValue[],
): Layer {
  let merged: RawConfig = {};
  for (const { path, value } of values) {
    merged = mergeConfigs(
      merged,
      path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as RawConfig,
    );
  }
  const nameOf = (path: Path): string | undefined => {
    // The deepest path that leads to this one; else one below it.
    const leadsTo = (value: NamedValue): boolean =>
      value.path.every((key, index) => index >= path.length || path[index] === key);
    return values
      .filter(leadsTo)
      .toSorted((a, b) => a.path.length - b.path.length)
      .at(-1)?.name;
  };
  return {
    origin,
    value: merged,
    place: (path) => {
      const name = nameOf(path);
      return name === undefined ? { origin } : { origin, name };
    },
  };
}
