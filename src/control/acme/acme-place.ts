/** Where certificates over ACME are seen to, if any listener asks for them. If none does, nothing is loaded, and there is no timer. */

import type { AcmeStoreSettings } from '../../config/acme-settings.ts';
import { isSame } from '../../config/same.ts';
import type { Settings } from '../../config/settings.ts';
import type { Acme, AcmeOptions, AcmeState } from './acme.ts';

type Options = Omit<AcmeOptions, 'counts'>;

export class AcmePlace {
  readonly counts = { issued: 0, failed: 0 };
  readonly #options: Options;
  #acme: Acme | null = null;
  #store: AcmeStoreSettings | null = null;
  #last: Promise<void> = Promise.resolve();
  #isListening = false;
  #isStopped = false;

  constructor(options: Options) {
    this.#options = options;
  }

  /** The settings may have become others. Resolves when what is kept is known. Never rejects. */
  sync(settings: Settings): Promise<void> {
    if (this.#acme === null && storeOf(settings) === null) return this.#last;
    this.#last = this.#last.then(() => this.#sync(settings));
    return this.#last;
  }

  /** Clients can connect. */
  listening(): void {
    this.#isListening = true;
    this.#acme?.listening();
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
    if (store === null) {
      this.#options.onIssued(new Map());
      return;
    }
    const loaded = await import('./acme.ts');
    this.#acme = new loaded.Acme({ ...this.#options, counts: this.counts });
    await this.#acme.begin(settings);
    if (this.#isListening) this.#acme.listening();
  }
}

/** The same for all listeners; null: none asks for certificates. */
function storeOf({ listeners }: Settings): AcmeStoreSettings | null {
  for (const { tls } of listeners)
    if ((tls?.acme ?? null) !== null) return tls?.acme?.store ?? null;
  return null;
}
