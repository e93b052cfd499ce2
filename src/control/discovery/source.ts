/** What a source of backends is, for whoever finds out what to make of what it says: one file each, and nobody else knows which it is. */
import type { BackendSettings } from '../../config/settings.ts';

/** Who is told. */
export interface SourceUser {
  /**
   * All of them now, in any order, at addresses that may be there twice. Resolves when that is in force: a source that asks has time
   * till then.
   * @param leftOut sentences about what can't be a backend as it is, each of which says what would help
   */
  onList(list: readonly BackendSettings[], leftOut?: readonly string[]): Promise<void>;
  /** There was no answer, or none that can be understood. @param reason continues "…, so the last answer holds: " */
  onFault(reason: string): void;
}

/** Goes on until it is stopped, whatever it meets: it tries again by itself, less and less often. */
export interface DiscoverySource {
  start(): void;
  /** Once; nobody is told of anything after it. */
  stop(): void;
}
