/** What the control plane asks of the program that started it. How a config is found and read is that one's business. */
import type { LoadResult } from '../config/load.ts';

export interface FairleadContext {
  /** Reads the same sources as at the start, anew. */
  reload(): LoadResult | Promise<LoadResult>;
  /** What `reload` would say if the config file held this text. */
  validate(text: string, contentType: string | undefined): LoadResult | Promise<LoadResult>;
  /** The effective config as JSON, secrets hidden. */
  effectiveConfig(): unknown;
  jsonSchema(): unknown;
}
