/** The key of an account, and what is signed with it: JWS with ES256 (RFC 7515, RFC 7518 §3.4), flattened as RFC 8555 §6.2 has it. */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';

export class AccountKey {
  readonly #key: KeyObject;
  readonly #jwk: {
    readonly crv: string;
    readonly kty: string;
    readonly x: string;
    readonly y: string;
  };

  /** @param pem of a key on P-256. @throws */
  constructor(pem: string) {
    this.#key = createPrivateKey(pem);
    const { crv, kty, x, y } = createPublicKey(this.#key).export({ format: 'jwk' });
    if (crv !== 'P-256' || kty !== 'EC' || x === undefined || y === undefined) {
      throw new Error('the key of an account has to be one on P-256');
    }
    // In the order that a thumbprint has them in: RFC 7638 §3.3.
    this.#jwk = { crv, kty, x, y };
  }

  static generate(): string {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }

  /** RFC 7638. */
  get thumbprint(): string {
    return createHash('sha256').update(JSON.stringify(this.#jwk)).digest('base64url');
  }

  /** RFC 8555 §8.1. */
  authorizationOf(token: string): string {
    return `${token}.${this.thumbprint}`;
  }

  /**
   * @param payload null: it is a GET in the form of a POST (RFC 8555 §6.3).
   * @param accountUrl undefined: the account is not made yet, and known by its key.
   */
  signed(
    url: string,
    nonce: string,
    payload: object | null,
    accountUrl: string | undefined,
  ): string {
    const who = accountUrl === undefined ? { jwk: this.#jwk } : { kid: accountUrl };
    const head = encoded({ alg: 'ES256', ...who, nonce, url });
    const body = payload === null ? '' : encoded(payload);
    const bytes = Buffer.from(`${head}.${body}`);
    const signature = sign('sha256', bytes, { key: this.#key, dsaEncoding: 'ieee-p1363' });
    return flattened(head, body, signature);
  }

  /** This key as one that the authority has given out the other key for: RFC 8555 §7.3.4. */
  bound(url: string, { keyId, key }: { readonly keyId: string; readonly key: string }): object {
    const head = encoded({ alg: 'HS256', kid: keyId, url });
    const body = encoded(this.#jwk);
    const mac = createHmac('sha256', Buffer.from(key, 'base64url')).update(`${head}.${body}`);
    return JSON.parse(flattened(head, body, mac.digest())) as object;
  }
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function flattened(head: string, payload: string, signature: Buffer): string {
  return JSON.stringify({ protected: head, payload, signature: signature.toString('base64url') });
}
