/**
 * Keeps the certificates and authorities that are in use, towards clients and backends, the ones that lie on the disk: their files are
 * watched, read when they have changed, and taken up if they are good. What is not good leaves in force what was there before, is told,
 * and is tried again with the next change.
 *
 * No client notices any of it: a data thread takes others for the handshakes from then on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import type { FileFault } from '../../config/certificates/kept-certificates.ts';
import type { Logger } from '../../observe/logger.ts';
import { FileWatch } from '../file-watch.ts';
import type { Operator } from '../operator.ts';
import type { Registry } from '../registry.ts';
import { ExpiryWarnings } from './expiry-warnings.ts';
import {
  certificatesOf,
  contentsOf,
  filesInForce,
  filesOf,
  type Own,
  readAgain,
  shownTo,
} from './read-again.ts';
import { Stapler } from './stapler.ts';
import { ValidityTurns } from './validity-turns.ts';

/** The pair may be in the middle of being written. */
const TRIES = 3;
const TRY_AGAIN_MS = 100;
/** At a time: somebody may have copied anything into a folder. */
const MOST_TOLD = 20;

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
  readonly #turns: ValidityTurns;
  #faults: readonly FileFault[] = [];
  #isReading = false;
  #isToBeReadAgain = false;
  #isStopped = false;

  constructor({ registry, operator, log, publish }: CertificatesOptions) {
    this.#registry = registry;
    this.#operator = operator;
    this.#log = log;
    this.#warnings = new ExpiryWarnings(log, () => this.own());
    this.#turns = new ValidityTurns(() => this.all(), publish);
    this.#stapler = new Stapler({
      log,
      publish: (staples) => {
        registry.staples = staples;
        publish();
      },
    });
  }

  /** @param faults of the config that was read at the start. */
  begin(faults: readonly FileFault[]): void {
    this.sync();
    this.#warnings.begin();
    this.tellFaults(faults);
  }

  stop(): void {
    this.#isStopped = true;
    this.#watch.close();
    this.#warnings.stop();
    this.#turns.stop();
    this.#stapler.stop();
  }

  /** The settings may have become others. */
  sync(): void {
    const { settings } = this.#registry;
    if (this.#watch.setPaths(filesOf(settings))) {
      // They were read before the watch began. What has become of them since then, no event tells.
      void this.#watch.settled().then(() => this.#onChange());
    }
    this.#warnings.look();
    this.#turns.sync();
    this.#stapler.sync(this.all());
  }

  /** What is served now. */
  all(): readonly Certificate[] {
    const all = [...certificatesOf(this.#registry.settings), ...this.#registry.issued.values()];
    return [...new Map(all.map((one) => [keyOf(one), one])).values()];
  }

  /** And what backends are shown; each once. */
  own(): readonly Own[] {
    const shown = shownTo(this.#registry.settings).map((one) => [keyOf(one), one] as const);
    return [
      ...new Map<string, Own>([
        ...this.all().map((one) => [keyOf(one), one] as const),
        ...shown,
      ]).values(),
    ];
  }

  /** Files that are not what they should be; in force is what they were before. */
  get faults(): readonly FileFault[] {
    return this.#faults;
  }

  /** These are broken now, and no others. Each is told of once. */
  tellFaults(faults: readonly FileFault[]): void {
    const known = new Set(this.#faults.map(({ message }) => message));
    this.#faults = faults;
    const inForce = filesInForce(this.#registry.settings);
    const news = faults.filter(({ message }) => !known.has(message));
    this.counts.refused += news.length;
    for (const { file, message } of news.slice(0, MOST_TOLD)) {
      const meanwhile = inForce.has(file)
        ? 'The one before stays in force'
        : 'There is none in its place';
      this.#log.error(
        'certificate.refused',
        `a certificate is not taken up: ${message}. ${meanwhile}`,
        { file },
      );
    }
    const left = news.length - MOST_TOLD;
    if (left <= 0) return;
    this.#log.error(
      'certificate.refused',
      `${left} certificates more are not taken up: GET /certificates tells all`,
    );
  }

  #onChange(): void {
    if (this.#isStopped) return;
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
        const { faults } = readAgain(this.#registry.settings);
        if (faults.length === 0) break;
        await sleep(TRY_AGAIN_MS, undefined, { ref: false });
      }
      if (this.#isStopped) return;
      let before: ReadonlyMap<string, string> = new Map();
      let faults: readonly FileFault[] = [];
      const hasChanged = await this.#operator.reload(async () => {
        const again = readAgain(this.#registry.settings);
        before = contentsOf(this.#registry.settings);
        ({ faults } = again);
        return again.settings;
      });
      this.tellFaults(faults);
      if (hasChanged) this.#tellChange(before);
    } catch (error) {
      this.#log.error('certificates.failed', 'the certificates could not be read again', { error });
    }
  }

  #tellChange(before: ReadonlyMap<string, string>): void {
    this.counts.taken++;
    const files = [...contentsOf(this.#registry.settings)]
      .filter(([file, content]) => before.get(file) !== content)
      .map(([file]) => file);
    const what = files.length === 0 ? 'they are fewer' : files.join(', ');
    this.#log.info('certificates.changed', `certificates taken up: ${what}`, { files });
  }
}

function keyOf({ certFile, facts }: Own): string {
  return `${certFile}\n${facts.fingerprint}`;
}
