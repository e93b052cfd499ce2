/** Where certificates over ACME are seen to, if any listener asks for them. If none does, nothing is loaded, and there is no timer. */

import type { AcmeStoreSettings } from '../../config/acme-settings.ts';
import type { Settings } from '../../config/settings.ts';
import { isSame } from '../../config/values/same.ts';
import type { ClusterPort } from '../cluster-port.ts';
import type { Acme, AcmeOptions, AcmeState } from './acme.ts';
import type { AcmeHome } from './acme-home.ts';

type Options = Omit<AcmeOptions, 'counts' | 'asks' | 'home'> & {
  /** Undefined: this instance is alone. */
  readonly cluster: Pick<ClusterPort, 'part'> | undefined;
};

/** Null: that of the cluster. */
type Store = AcmeStoreSettings | null;

export class AcmePlace {
  readonly counts = { issued: 0, failed: 0 };
  readonly asks = { allowed: 0, refused: 0, failed: 0, dropped: 0 };
  readonly #options: Options;
  #acme: Acme | null = null;
  #store: Store | undefined;
  #last: Promise<void> = Promise.resolve();
  #isListening = false;
  #isStopped = false;

  constructor(options: Options) {
    this.#options = options;
  }

  /** The settings may have become others. Resolves when what is kept is known. Never rejects. */
  sync(settings: Settings): Promise<void> {
    if (this.#acme === null && storeOf(settings) === undefined) return this.#last;
    this.#last = this.#last.then(() => this.#sync(settings));
    return this.#last;
  }

  /** Clients can connect. */
  listening(): void {
    this.#isListening = true;
    this.#acme?.listening();
  }

  /** Clients have asked for names that nothing is known of: see on-demand.ts. */
  asked(group: string, names: readonly string[]): void {
    this.#acme?.onDemand.asked(group, names);
  }

  states(): AcmeState[] {
    return this.#acme?.states() ?? [];
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#last;
    const acme = this.#acme;
    this.#acme = null;
    await acme?.stop();
  }

  async #sync(settings: Settings): Promise<void> {
    if (this.#isStopped) return;
    const store = storeOf(settings);
    if (this.#acme !== null && isSame(store, this.#store)) {
      this.#acme.sync(settings);
      return;
    }
    await this.#acme?.stop();
    this.#acme = null;
    this.#store = store;
    if (store === undefined) {
      this.#options.onIssued(new Map());
      return;
    }
    const loaded = await Promise.all([import('./acme.ts'), import('./acme-home.ts')]).catch(
      // The package on the disk may have become another one.
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        this.#options.log.error(
          'certificate.store_failed',
          `no certificates are fetched or renewed, for the program for it can't be loaded: ${reason}`,
          { reason },
        );
        return null;
      },
    );
    if (loaded === null) return;
    const [{ Acme }, homes] = loaded;
    const { cluster, ...options } = this.#options;
    let home: AcmeHome;
    if (store !== null) home = homes.homeInFile(store);
    else if (cluster !== undefined) home = homes.homeInCluster(cluster);
    // A reload that brings a cluster is refused.
    else return;
    this.#acme = new Acme({ ...options, home, counts: this.counts, asks: this.asks });
    await this.#acme.begin(settings);
    if (this.#isListening) this.#acme.listening();
  }
}

/** The same for all listeners; undefined: none asks for certificates. */
function storeOf({ listeners }: Settings): Store | undefined {
  for (const { tls } of listeners) if (tls?.acme) return tls.acme.store;
  return undefined;
}
