/** Records in the store: read whatever is there, sealed or not, and written sealed where there is a key. */
import type { z } from 'zod';
import type { AcmeStoreSettings } from '../../config/acme-settings.ts';
import type { StoredObject } from '../cluster/registry-store.ts';
import { Seal } from '../cluster/sealed.ts';

const SEALED = /^sealed\d+\./;

export class AcmeVault {
  readonly #seal: Seal | null;

  private constructor(seal: Seal | null) {
    this.#seal = seal;
  }

  /** @throws Error: there is no key where one is named. */
  static async open({ key, keyFile }: Omit<AcmeStoreSettings, 'file'>): Promise<AcmeVault> {
    if (keyFile !== '') return new AcmeVault(await Seal.fromFile(keyFile));
    return new AcmeVault(key === '' ? null : Seal.of(key));
  }

  static of(seal: Seal): AcmeVault {
    return new AcmeVault(seal);
  }

  written(key: string, record: object): string {
    const text = JSON.stringify(record);
    return this.#seal === null ? text : this.#seal.seal(key, text);
  }

  /** @throws Error: it can't be opened, or is none of ours. */
  read<Schema extends z.ZodType>({ key, value }: StoredObject, schema: Schema): z.output<Schema> {
    const isSealed = SEALED.test(value);
    if (isSealed && this.#seal === null) {
      throw new Error(`${key} is encrypted: set store_key_file or store_key`);
    }
    const text = isSealed ? (this.#seal as Seal).open(key, value).toString() : value;
    const read = schema.safeParse(jsonOf(text));
    if (read.success) return read.data;
    throw new Error(`${key} is not what this version of Fairlead writes`);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
