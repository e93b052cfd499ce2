/** What the control plane asks of the program that started it. How a config is found and read is that one's business. */
import type { EffectiveConfig } from '../config/effective.ts';
import type { LoadResult } from '../config/load.ts';

export interface FairleadContext {
  /** Reads the same sources as at the start, anew. */
  reload(): LoadResult | Promise<LoadResult>;
  /** What `reload` would say if the config file held this text. */
  validate(text: string, contentType: string | undefined): LoadResult | Promise<LoadResult>;
  /** What the sources say, secrets hidden; changes of operators are not in it. */
  effectiveConfig(): EffectiveConfig;
  jsonSchema(): unknown;
}
