/** A table that outlives the process: all of it in one small file, written before a commit is in force. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DurableFile, removeUnfinished } from '../durable-file.ts';
import { lockStateFile } from '../state/state-lock.ts';
import { StoreError } from './registry-store.ts';
import { StoreTable, type TableContent } from './store-table.ts';

/** It holds secrets. */
const MODE = 0o600;

const revision = z.int().nonnegative();
const FORMAT = z.strictObject({
  version: z.literal(1),
  revision,
  objects: z.array(
    z.strictObject({ key: z.string(), value: z.string(), revision, createdAt: revision }),
  ),
});

export interface FileTable {
  readonly table: StoreTable;
  /** Another process may have the file from then on. */
  release(): Promise<void>;
}

/**
 * One process at a time has it. A file that is not there is an empty table.
 * @throws StoreError `refused`: another process has it, or it is not one of ours: it is left as it is.
 */
export async function openFileTable(path: string): Promise<FileTable> {
  const lock = await lockStateFile(path);
  if (lock.kind !== 'held') {
    const reason = lock.kind === 'in-use' ? 'another process uses it' : lock.reason;
    throw new StoreError('refused', `${path} can't be had for this process alone: ${reason}`);
  }
  try {
    await removeUnfinished(path);
    const content = await readTable(path);
    const file = new DurableFile(path);
    const save = async (next: TableContent): Promise<void> => {
      try {
        await file.write(`${JSON.stringify({ version: 1, ...next })}\n`, MODE);
      } catch (error) {
        throw unsaved(path, error);
      }
    };
    const table = new StoreTable({ save, ...(content && { content }) });
    return { table, release: () => lock.release() };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

export async function readTable(path: string): Promise<TableContent | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StoreError('refused', `${path} can't be read: ${(error as Error).message}`);
  }
  try {
    return FORMAT.parse(JSON.parse(text));
  } catch {
    throw new StoreError(
      'refused',
      `${path} holds no store of Fairlead, or a broken one; move it away to begin with an empty one`,
    );
  }
}

function unsaved(path: string, error: unknown): StoreError {
  const { code, message } = error as NodeJS.ErrnoException;
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  return new StoreError(isFull ? 'full' : 'unreachable', `${path} can't be written: ${message}`);
}
