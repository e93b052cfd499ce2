/** Which parts of a config mean nothing, because something in them is wrong: paths as `spoiltBy` gives them. */
import { type Finding, isMapping, type Path, type RawConfig } from './read/layer.ts';

export class Spoilt {
  readonly #parts: ReadonlySet<string>;

  constructor(findings: readonly Finding[]) {
    this.#parts = new Set(findings.map(({ spoils }) => keyOf(spoils)));
  }

  /** Whether what stands there is spoilt, or what it stands in. */
  has(path: Path): boolean {
    if (this.#parts.size === 0) return false;
    return path.some((_, index) => this.#parts.has(keyOf(path.slice(0, index + 1))));
  }

  without(value: RawConfig): RawConfig {
    if (this.#parts.size === 0) return value;
    const sound = this.#sound(value, []);
    const { pools } = sound;
    if (!isMapping(pools)) return sound;
    const soundPools = Object.entries(this.#sound(pools, ['pools'])).map(([name, pool]) => [
      name,
      isMapping(pool) ? this.#sound(pool, ['pools', name]) : pool,
    ]);
    return { ...sound, pools: Object.fromEntries(soundPools) };
  }

  #sound(value: RawConfig, at: Path): RawConfig {
    return Object.fromEntries(
      Object.entries(value).filter(([key]) => !this.#parts.has(keyOf([...at, key]))),
    );
  }
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}
