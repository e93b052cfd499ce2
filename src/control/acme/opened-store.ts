/** The store of accounts and certificates of one instance: a file beside the state file. */
import { openFileTable, readTable } from '../cluster/file-table.ts';
import type { RegistryStore } from '../cluster/registry-store.ts';
import { StoreTable } from '../cluster/store-table.ts';
import { TableStore } from '../cluster/table-store.ts';

export interface OpenedStore {
  readonly store: RegistryStore;
  /** Others may answer for us: what is written needs so long to get to them. 0: there are none. */
  readonly spreadMs: number;
  close(): Promise<void>;
}

/** @throws StoreError: another process has it, or it is broken. */
export async function openAcmeFile(file: string): Promise<OpenedStore> {
  const { table, release } = await openFileTable(file);
  const store = new TableStore(table);
  return {
    store,
    spreadMs: 0,
    async close() {
      await store.close();
      await release();
    },
  };
}

/** What is in it now, to be read only: another process may have it. @throws StoreError */
export async function lookIntoAcmeFile(file: string): Promise<RegistryStore> {
  const content = await readTable(file);
  return new TableStore(new StoreTable(content === undefined ? {} : { content }));
}
