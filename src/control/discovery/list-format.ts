/** Lists of backends that were found, as a text. Pure. */
import { z } from 'zod';
import { type BackendSettings, MAX_WEIGHT, MOST_FOUND } from '../../config/settings.ts';
import { parseBackendUrl } from '../../config/values/backend-url.ts';
import { isHostFieldValue } from '../../config/values/network-address.ts';

/** Enough for 40,000 backends, more or less. */
export const LARGEST_LISTS_BYTES = 4 * 1024 * 1024;
/** Of a pool that nobody has asked for since: what was there so long ago is there no more. */
const LONGEST_KEPT_MS = 30 * 24 * 60 * 60_000;
const LONGEST_NAME = 300;

export interface StoredList {
  /** A hash of where it was asked for. */
  readonly of: string;
  /** When the source last said so, in ms of the wall clock. */
  readonly at: number;
  /** At most `MOST_FOUND`, each URL once. */
  readonly list: readonly BackendSettings[];
}

const backendSchema = z.object({
  url: z.string(),
  /** Where it is called by another name than its address. */
  name: z.string().max(LONGEST_NAME).refine(isHostFieldValue).optional(),
  weight: z.int().min(0).max(MAX_WEIGHT).optional(),
  backup: z.literal(true).optional(),
});
const poolSchema = z.object({
  of: z.string(),
  /** A date that there is. */
  at: z.number().min(0).max(8.64e15),
  backends: z.array(z.unknown()).max(MOST_FOUND),
});
const fileSchema = z.object({ version: z.literal(1), pools: z.record(z.string(), z.unknown()) });

type StoredBackend = z.infer<typeof backendSchema>;

/** @returns besides, the names of the pools that there is no room for: those that were heard longest ago */
export function encodeLists(
  lists: ReadonlyMap<string, StoredList>,
  now: number,
): { readonly text: string; readonly tooLarge: readonly string[] } {
  const tooLarge: string[] = [];
  const parts: string[] = [];
  let left = LARGEST_LISTS_BYTES - 100;
  for (const [pool, { of, at, list }] of [...lists].toSorted(([, a], [, b]) => b.at - a.at)) {
    if (now - at > LONGEST_KEPT_MS) continue;
    const stored: z.infer<typeof poolSchema> = { of, at, backends: list.map(storedBackend) };
    const part = `${JSON.stringify(pool)}:${JSON.stringify(stored)}`;
    const bytes = Buffer.byteLength(part) + 2;
    if (bytes > left) {
      tooLarge.push(pool);
      continue;
    }
    left -= bytes;
    parts.push(part);
  }
  return { text: `{"version":1,"pools":{\n${parts.join(',\n')}\n}}\n`, tooLarge };
}

/** By the name of the pool, without what can't be understood. Undefined: nothing can. */
export function decodeLists(text: string, now: number): Map<string, StoredList> | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const file = fileSchema.safeParse(json);
  if (!file.success) return undefined;
  const lists = new Map<string, StoredList>();
  for (const [pool, raw] of Object.entries(file.data.pools)) {
    const stored = poolSchema.safeParse(raw);
    if (!stored.success || now - stored.data.at > LONGEST_KEPT_MS) continue;
    const { of, at, backends } = stored.data;
    const byUrl = new Map(backends.flatMap(backendOf).map((one) => [one.url, one]));
    lists.set(pool, { of, at, list: [...byUrl.values()] });
  }
  return lists;
}

function storedBackend(backend: BackendSettings): StoredBackend {
  const { url, authority, socketPath, basePath, weight, isBackup } = backend;
  // As `parseBackendUrl` has it, without parsing thousands of them.
  const isAsInUrl =
    socketPath === '' ? url.endsWith(`://${authority}${basePath}`) : authority === 'localhost';
  return {
    url,
    ...(!isAsInUrl && { name: authority }),
    ...(weight !== 1 && { weight }),
    ...(isBackup && { backup: true as const }),
  };
}

function backendOf(raw: unknown): BackendSettings[] {
  const stored = backendSchema.safeParse(raw);
  if (!stored.success) return [];
  const { url, name, weight = 1, backup = false } = stored.data;
  const parsed = parseBackendUrl(url);
  if (!parsed.ok || parsed.address.url !== url) return [];
  const { address } = parsed;
  return [{ ...address, authority: name ?? address.authority, weight, isBackup: backup }];
}
