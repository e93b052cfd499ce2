/**
 * Keeps the certificates that are served the ones that lie on the disk: their files are watched, read when they have changed, and taken
 * up if they are good. What is not good leaves in force what was there before, is told, and is tried again with the next change.
 *
 * No connection notices any of it: a data thread takes other certificates for the handshakes from then on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificate } from '../../config/certificate-facts.ts';
import type { ListenerSettings, Settings, TlsSettings } from '../../config/settings.ts';
import type { Logger } from '../../observe/logger.ts';
import { FileWatch } from '../file-watch.ts';
import type { Operator } from '../operator.ts';
import type { Registry } from '../registry.ts';
import { ExpiryWarnings } from './expiry-warnings.ts';
import { type FileFault, filesOf, readAgain } from './read-again.ts';
import { Stapler } from './stapler.ts';

/** The pair may be in the middle of being written. */
const TRIES = 3;
const TRY_AGAIN_MS = 100;

export interface CertificatesOptions {
  readonly registry: Registry;
  readonly operator: Operator;
  readonly log: Logger;
  /** Makes data threads run on the registry as it is now. */
  readonly publish: () => void;
}

export class Certificates {
  readonly counts = { taken: 0, refused: 0 };
  readonly #registry: Registry;
  readonly #operator: Operator;
  readonly #log: Logger;
  readonly #watch = new FileWatch({ onChange: () => this.#onChange() });
  readonly #warnings: ExpiryWarnings;
  readonly #stapler: Stapler;
  #faults: readonly FileFault[] = [];
  #isReading = false;
  #isToBeReadAgain = false;
  #isStopped = false;

  constructor({ registry, operator, log, publish }: CertificatesOptions) {
    this.#registry = registry;
    this.#operator = operator;
    this.#log = log;
    this.#warnings = new ExpiryWarnings(log, () => this.all());
    this.#stapler = new Stapler({
      log,
      publish: (staples) => {
        registry.staples = staples;
        publish();
      },
    });
  }

  begin(): void {
    this.sync();
    this.#warnings.begin();
  }

  stop(): void {
    this.#isStopped = true;
    this.#watch.close();
    this.#warnings.stop();
    this.#stapler.stop();
  }

  /** The settings may have become others. */
  sync(): void {
    this.#watch.setPaths(tlsOf(this.#registry.settings).flatMap(filesOf));
    this.#warnings.look();
    this.#stapler.sync(this.all());
  }

  /** What is served now. */
  all(): readonly Certificate[] {
    const all = tlsOf(this.#registry.settings).flatMap(({ certificates }) => certificates);
    return [
      ...new Map(all.map((one) => [`${one.certFile}\n${one.facts.fingerprint}`, one])).values(),
    ];
  }

  /** Files that are not what they should be; in force is what they were before. */
  get faults(): readonly FileFault[] {
    return this.#faults;
  }

  #onChange(): void {
    if (this.#isReading) {
      this.#isToBeReadAgain = true;
      return;
    }
    this.#isReading = true;
    void this.#read().finally(() => {
      this.#isReading = false;
      if (!this.#isToBeReadAgain) return;
      this.#isToBeReadAgain = false;
      this.#onChange();
    });
  }

  async #read(): Promise<void> {
    try {
      for (let left = TRIES; left > 1; left--) {
        const { faults } = settingsAgain(this.#registry.settings);
        if (faults.length === 0) break;
        await sleep(TRY_AGAIN_MS, undefined, { ref: false });
      }
      if (this.#isStopped) return;
      let before: readonly Certificate[] = [];
      let faults: readonly FileFault[] = [];
      const hasChanged = await this.#operator.reload(async () => {
        const again = settingsAgain(this.#registry.settings);
        before = this.all();
        ({ faults } = again);
        return again.settings;
      });
      this.#tellFaults(faults);
      if (hasChanged) this.#tellChange(before);
    } catch (error) {
      this.#log.error('certificates.failed', 'the certificates could not be read again', { error });
    }
  }

  #tellFaults(faults: readonly FileFault[]): void {
    const known = new Set(this.#faults.map(({ message }) => message));
    this.#faults = faults;
    for (const { file, message } of faults) {
      if (known.has(message)) continue;
      this.counts.refused++;
      const text = `a changed certificate is not taken up: ${message}. The one before stays in force`;
      this.#log.error('certificate.refused', text, { file });
    }
  }

  #tellChange(before: readonly Certificate[]): void {
    this.counts.taken++;
    const known = new Set(before.map(({ facts }) => facts.fingerprint));
    const files = this.all()
      .filter(({ facts }) => !known.has(facts.fingerprint))
      .map(({ certFile }) => certFile);
    const what = files.length === 0 ? 'they are fewer' : files.join(', ');
    this.#log.info('certificates.changed', `certificates taken up: ${what}`, { files });
  }
}

function tlsOf({ listeners }: Settings): TlsSettings[] {
  return listeners.flatMap(({ tls }) => (tls === undefined ? [] : [tls]));
}

function settingsAgain(settings: Settings): {
  readonly settings: Settings;
  readonly faults: readonly FileFault[];
} {
  const faults = new Map<string, FileFault>();
  const listeners = settings.listeners.map((listener): ListenerSettings => {
    if (listener.tls === undefined) return listener;
    const again = readAgain(listener.tls);
    for (const fault of again.faults) faults.set(fault.message, fault);
    return { ...listener, tls: again.tls };
  });
  return {
    settings: { ...settings, listeners: listeners as [ListenerSettings, ...ListenerSettings[]] },
    faults: [...faults.values()],
  };
}
