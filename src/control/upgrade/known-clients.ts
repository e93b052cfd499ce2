/**
 * What one process knows of single clients, for the one that takes its place: whose session is where, how much of a rate limit is used
 * (snapshot/client-table.ts). Of both tables all entries that have not expired, at most some 3 MB as text. What they count from and
 * the seeds of their keys go along when the new process starts; the entries when it is about to listen, so that none is old by then.
 */
import { endianness } from 'node:os';
import { z } from 'zod';
import { ClientTable, type ClientTablesOrigin } from '../../snapshot/client-table.ts';
import type { ClientTables } from '../../snapshot/messages.ts';
import { processClockOffsetMs } from '../../snapshot/process-clock.ts';
import { IN_DOUBT } from '../../snapshot/shared-sessions.ts';
import type { PoolRegistry } from '../pool-registry.ts';

const VERSION = 1;
const BYTES_OF_CELL = 4;

const seedsSchema = z.tuple([z.int32(), z.int32()]);
const originSchema = z.object({
  version: z.literal(VERSION),
  endianness: z.literal(endianness()),
  epochMs: z.number(),
  sessions: seedsSchema,
  rates: seedsSchema,
});
const entriesSchema = z.object({
  version: z.literal(VERSION),
  /** The ids that sessions name: in which pool, and which URL. */
  backends: z.array(z.tuple([z.int(), z.string(), z.string()])),
  /** Numbers of 32 bits, in base64. */
  sessions: z.base64(),
  rates: z.base64(),
});

/** As `readOrigin` reads it. */
export function describeOrigin({ sessions, rates }: ClientTables): string {
  const table = new ClientTable(sessions);
  const other = new ClientTable(rates);
  return JSON.stringify({
    version: VERSION,
    endianness: endianness(),
    epochMs: table.epochMs,
    sessions: [table.seedA, table.seedB],
    rates: [other.seedA, other.seedB],
  } satisfies z.infer<typeof originSchema>);
}

/** Undefined: none of which this version can make sense, or of another clock. */
export function readOrigin(told: string | undefined): ClientTablesOrigin | undefined {
  const origin = parsed(originSchema, told);
  return origin === undefined || origin.epochMs > nowMs() ? undefined : origin;
}

/** As `takeUpClients` reads it. */
export function describeClients(tables: ClientTables, pools: readonly PoolRegistry[]): string {
  return JSON.stringify({
    version: VERSION,
    backends: pools.flatMap((pool) =>
      pool
        .backends()
        .map(({ id, address }): [number, string, string] => [id, pool.name, address.url]),
    ),
    sessions: entriesOf(tables.sessions),
    rates: entriesOf(tables.rates),
  } satisfies z.infer<typeof entriesSchema>);
}

/** Into tables of the same origin. Sessions of backends that are not there any more are left out. */
export function takeUpClients(
  told: string,
  tables: ClientTables,
  pools: readonly PoolRegistry[],
): { readonly sessions: number; readonly rates: number } {
  const entries = parsed(entriesSchema, told);
  if (entries === undefined) return { sessions: 0, rates: 0 };
  const ids = new Map<number, number>();
  for (const [id, name, url] of entries.backends) {
    const backends = pools.find((pool) => pool.name === name)?.backends();
    const here = backends?.find(({ address }) => address.url === url);
    if (here !== undefined) ids.set(id, here.id);
  }
  const sessions = fill(tables.sessions, entries.sessions, (copy) => {
    // The one value: the backend.
    const last = copy.length - 1;
    const value = copy[last] as number;
    const doubt = value < 0 ? 0 : value & IN_DOUBT;
    const id = ids.get(value & ~doubt);
    if (id !== undefined) copy[last] = id | doubt;
    return id !== undefined;
  });
  return { sessions, rates: fill(tables.rates, entries.rates, () => true) };
}

function entriesOf(memory: SharedArrayBuffer): string {
  const table = new ClientTable(memory);
  const now = nowMs();
  const copies: (readonly number[])[] = [];
  table.forEach((entry) => copies.push(table.copy(entry, now)));
  return Buffer.from(Int32Array.from(copies.flat()).buffer).toString('base64');
}

/** @param fit what the copy has to be here; false: it is of no use. @returns how many were put there */
function fill(
  memory: SharedArrayBuffer,
  base64: string,
  fit: (copy: Int32Array) => boolean,
): number {
  const table = new ClientTable(memory);
  const bytes = Buffer.from(base64, 'base64');
  const cells = new Int32Array(Math.floor(bytes.length / BYTES_OF_CELL));
  bytes.copy(Buffer.from(cells.buffer));
  const now = nowMs();
  let count = 0;
  for (let at = 0; at + table.copyLength <= cells.length; at += table.copyLength) {
    const copy = cells.subarray(at, at + table.copyLength);
    if (!fit(copy)) continue;
    table.putCopy(copy, now);
    count++;
  }
  return count;
}

function nowMs(): number {
  return performance.now() + processClockOffsetMs();
}

function parsed<T>(schema: z.ZodType<T>, told: string | undefined): T | undefined {
  if (told === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(told)).data;
  } catch {
    return undefined;
  }
}
