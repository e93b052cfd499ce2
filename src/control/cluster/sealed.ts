/**
 * Secrets as they lie in a store or on a disk: AES-256-GCM under keys that the store never has.
 *
 * What is sealed is bound to its name: put under another one, it opens no more. The first of the keys seals, all of them open, so that
 * a key is replaced by putting a new one before it.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readSealingKey, SEALING_KEY, sealingKeysIn } from '../../config/values/sealing-key.ts';

/** NIST SP 800-38D §8.2.2: by chance, 96 bits, good for 2^32 of them under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SCHEME = 'sealed1';

/** It can't be read or opened. Says nothing of what is inside. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

interface SealingKey {
  /** Says which one is asked for, and nothing of the key. */
  readonly id: string;
  readonly key: Buffer;
}

export class Seal {
  readonly #keys: readonly [SealingKey, ...SealingKey[]];

  private constructor(keys: readonly [SealingKey, ...SealingKey[]]) {
    this.#keys = keys;
  }

  /**
   * @param text a key of 32 bytes in each line, in hex or base64 (`openssl rand -base64 32`); empty lines and `#` comments say nothing.
   * @throws SealError
   */
  static of(text: string): Seal {
    const [first, ...others] = sealingKeysIn(text);
    if (first === undefined) throw new SealError('there is no key');
    return new Seal([keyOf(first), ...others.map(keyOf)]);
  }

  /** @throws SealError */
  static async fromFile(path: string): Promise<Seal> {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      throw new SealError(`${path} can't be read: ${(error as Error).message}`);
    }
    try {
      return Seal.of(text);
    } catch (error) {
      throw new SealError(`${path}: ${(error as Error).message}`);
    }
  }

  /** Of the key that seals. Two instances with the same one open what the other has sealed. */
  get keyId(): string {
    return this.#keys[0].id;
  }

  /** @param name what it is kept under, for which alone it opens. */
  seal(name: string, secret: Uint8Array | string): string {
    const { id, key } = this.#keys[0];
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(associated(id, name));
    const body = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    return [SCHEME, id, nonce.toString('base64url'), body.toString('base64url')].join('.');
  }

  /** @throws SealError: another key, another name, or not what was sealed. */
  open(name: string, sealed: string): Buffer {
    const [scheme, id = '', nonceText = '', bodyText = '', ...more] = sealed.split('.');
    if (scheme !== SCHEME || more.length > 0) throw new SealError(`${name} is not sealed by us`);
    const key = this.#keys.find((one) => one.id === id)?.key;
    if (key === undefined)
      throw new SealError(`${name} is sealed with a key that is not here: ${id}`);
    const nonce = Buffer.from(nonceText, 'base64url');
    const body = Buffer.from(bodyText, 'base64url');
    if (nonce.length !== NONCE_BYTES || body.length < TAG_BYTES) {
      throw new SealError(`${name} is cut short`);
    }
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(associated(id, name));
    decipher.setAuthTag(body.subarray(-TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]);
    } catch {
      throw new SealError(`${name} was changed after it was sealed, or sealed for another place`);
    }
  }

  /** It is sealed with a key that only opens: seal it anew. */
  isOld(sealed: string): boolean {
    return sealed.split('.')[1] !== this.keyId;
  }
}

function keyOf(text: string): SealingKey {
  const key = readSealingKey(text);
  if (key === undefined) throw new SealError(SEALING_KEY);
  const id = createHash('sha256').update('fairlead sealing key').update(key).digest('hex');
  return { id: id.slice(0, 12), key };
}

function associated(id: string, name: string): Buffer {
  return Buffer.from(`${SCHEME}\0${id}\0${name}`);
}
