/** What the control plane asks of the program that started it. How a config is found and read is that one's business. */
import type { Certificate } from '../config/certificates/certificate-facts.ts';
import type { EffectiveConfig } from '../config/effective/effective.ts';
import type { LoadResult } from '../config/load.ts';
import type { SharedConfig } from '../config/shared-config.ts';

/**
 * What the config file holds beside what was read at the start or the last reload, whatever came of that. `cut off`: the beginning
 * of the text in force.
 */
export type SourceState = 'same' | 'changed' | 'cut off' | 'unreadable';

export interface SharedSource {
  /** What the sources that were read last say together with these; nothing comes of it. @param inUse as for `reload` */
  load(shared: SharedConfig, inUse: readonly Certificate[]): LoadResult;
  /** They are in force from now on, also for what is read later. */
  taken(shared: SharedConfig, loaded: Extract<LoadResult, { ok: true }>): void;
}

export interface FairleadContext {
  /** Reads the same sources as at the start, anew. @param inUse see `LoadInput.certificatesInUse` */
  reload(inUse: readonly Certificate[]): LoadResult | Promise<LoadResult>;
  /** What `reload` would give now; nothing comes of it. @param inUse as for `reload` */
  look(inUse: readonly Certificate[]): LoadResult | Promise<LoadResult>;
  /** What `reload` gave is in force from now on. What this process can't go on with never is. */
  taken(loaded: Extract<LoadResult, { ok: true }>): void;
  /** What `reload` would say if the config file held this text. */
  validate(
    text: string,
    contentType: string | undefined,
    inUse: readonly Certificate[],
  ): LoadResult | Promise<LoadResult>;
  /** What the sources in force say, secrets hidden; changes of operators are not in it. */
  effectiveConfig(): EffectiveConfig;
  /** In a cluster: pools and routes are those of all instances. */
  readonly shared?: SharedSource;
  jsonSchema(): unknown;
  /** `unreadable` only as long as no reload has found it so. Undefined where there is no file to watch. */
  readonly lookAtSource?: () => SourceState;
}
