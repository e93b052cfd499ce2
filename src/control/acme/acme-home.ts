/** Where accounts and certificates are kept: by an instance that is alone in a file, by those of a cluster in the store that they share. */
import type { AcmeStoreSettings } from '../../config/acme-settings.ts';
import { openFileTable, readTable } from '../cluster/file-table.ts';
import type { RegistryStore } from '../cluster/registry-store.ts';
import type { SharedPart } from '../cluster/shared-part.ts';
import { StoreTable } from '../cluster/store-table.ts';
import { TableStore } from '../cluster/table-store.ts';
import type { ClusterPort } from '../cluster-port.ts';
import { CHALLENGES, LOCK_KEY, PREFIX } from './acme-records.ts';
import { AcmeVault } from './acme-vault.ts';

/** An instance whose watch was cut has it back by then, most of the time. */
const SPREAD_MS = 1_000;
const LONGEST_PAUSE_OF_FILE_MS = 30_000;
const LONGEST_PAUSE_OF_CLUSTER_MS = 2_000;

export interface OpenedStore {
  readonly store: RegistryStore;
  /** Others may answer for us: what is written needs so long to get to them. 0: there are none. */
  readonly spreadMs: number;
  close(): Promise<void>;
}

export interface AcmeHome {
  /** @throws Error: there is no key where one is named. */
  vault(): Promise<AcmeVault>;
  /** @throws StoreError: another process has it, or it is broken, or nobody can be asked. */
  open(): Promise<OpenedStore>;
  /** What is known of it while it can't be opened, to be read only; undefined: nothing. @throws StoreError */
  lookInto(): Promise<RegistryStore | undefined>;
  /** Between two tries to open it. */
  readonly longestPauseMs: number;
}

export function homeInFile(settings: AcmeStoreSettings): AcmeHome {
  return {
    vault: () => AcmeVault.open(settings),
    open: () => openAcmeFile(settings.file),
    async lookInto() {
      const content = await readTable(settings.file);
      return content && new TableStore(new StoreTable({ content }));
    },
    longestPauseMs: LONGEST_PAUSE_OF_FILE_MS,
  };
}

async function openAcmeFile(file: string): Promise<OpenedStore> {
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

export function homeInCluster(cluster: Pick<ClusterPort, 'part'>): AcmeHome {
  const part = cluster.part({ prefix: PREFIX, isLasting });
  return {
    vault: async () => AcmeVault.of(sealOf(part)),
    async open() {
      // What is on the disk of this instance is served where this can't be read.
      await part.list(PREFIX);
      return { store: part, spreadMs: SPREAD_MS, close: () => part.close() };
    },
    lookInto: () => part.lastKnown(),
    longestPauseMs: LONGEST_PAUSE_OF_CLUSTER_MS,
  };
}

/** The others go with a lease. */
function isLasting(key: string): boolean {
  return !key.startsWith(CHALLENGES) && key !== LOCK_KEY;
}

function sealOf({ seal }: SharedPart): NonNullable<SharedPart['seal']> {
  if (seal === undefined) throw new Error('the cluster has no key');
  return seal;
}
