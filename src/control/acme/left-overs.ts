/** What is kept and is good for nothing any more. With names on demand there would be more of it for ever. Pure. */
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import type { StoredObject } from '../cluster/registry-store.ts';
import { CERTIFICATES, FAILURES, type FailureRecord, orderKeyOf } from './acme-records.ts';

const DAY_MS = 86_400_000;
const AFTER_ITS_END_MS = 30 * DAY_MS;
/** An authority keeps an order for about as long. */
const AFTER_ITS_TRY_MS = 7 * DAY_MS;

export interface Kept {
  readonly objects: Iterable<StoredObject>;
  /** Undefined: it can't be used, which may be for want of a key, and is left alone. */
  readonly certificateAt: (key: string) => Certificate | undefined;
  readonly failureAt: (key: string) => FailureRecord | undefined;
}

export interface LeftOver {
  readonly object: StoredObject;
  /** Keys that go. */
  readonly keys: readonly string[];
}

/** @param wantedIds see `Wanted.id`: nothing of theirs. */
export function leftOversOf(
  { objects, certificateAt, failureAt }: Kept,
  wantedIds: ReadonlySet<string>,
  nowMs: number,
): LeftOver[] {
  const found: LeftOver[] = [];
  for (const object of objects) {
    const { key } = object;
    const id = key.slice(key.lastIndexOf('/') + 1);
    if (wantedIds.has(id)) continue;
    if (key.startsWith(CERTIFICATES)) {
      const { facts } = certificateAt(key) ?? {};
      if (facts !== undefined && facts.notAfterMs + AFTER_ITS_END_MS < nowMs) {
        found.push({ object, keys: [key] });
      }
    } else if (key.startsWith(FAILURES)) {
      const failure = failureAt(key);
      if (failure !== undefined && failure.retryAtMs + AFTER_ITS_TRY_MS < nowMs) {
        found.push({ object, keys: [key, orderKeyOf(id)] });
      }
    }
  }
  return found;
}
