/**
 * The users of a route: whose password has to be checked. One whom nobody knows is checked like any other, against a password
 * that nobody has, so that answers take as long and say as little.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { BasicAuth, PasswordHash } from '../../snapshot/route-answer.ts';
import { basicCredentials } from '../wire/basic-credentials.ts';
import type { Head } from '../wire/head.ts';

/** A password as it is stored, ready to be compared. */
export interface StoredPassword {
  /** No two that differ are the same. */
  readonly id: string;
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
  readonly salt: Buffer;
  readonly key: Buffer;
}

/** Somebody says who they are: that is to be checked. */
export interface Login {
  readonly stored: StoredPassword;
  /** Bytes as Latin-1 text, as the password. */
  readonly user: string;
  readonly password: string;
  /** What asks for it, as a whole field line. */
  readonly challenge: string;
}

export class LoginUsers {
  /** As a whole field line. */
  readonly challenge: string;
  readonly #users = new Map<string, StoredPassword>();
  /** What passwords of nobody cost: as much as those of the users. */
  readonly #decoys: readonly StoredPassword[];
  readonly #secret = randomBytes(16);

  constructor({ realm, users }: BasicAuth) {
    const quoted = realm.replaceAll(/["\\]/g, '\\$&');
    this.challenge = `WWW-Authenticate: Basic realm="${quoted}", charset="UTF-8"\r\n`;
    for (const { name, hash } of users) {
      this.#users.set(Buffer.from(name, 'utf8').toString('latin1'), storedOf(hash));
    }
    this.#decoys = Array.from(this.#users.values(), decoyOf);
  }

  /** Null: the request does not say who it is from. */
  loginOf(head: Head): Login | null {
    const credentials = basicCredentials(head);
    if (credentials === null) return null;
    const { user, password } = credentials;
    const stored = this.#users.get(user) ?? this.#decoyFor(user);
    return { stored, user, password, challenge: this.challenge };
  }

  /** Always the same for a name: where passwords cost different amounts, that of a name must not change. */
  #decoyFor(user: string): StoredPassword {
    const digest = createHmac('sha256', this.#secret).update(user, 'latin1').digest();
    return this.#decoys[digest.readUInt32BE(0) % this.#decoys.length] as StoredPassword;
  }
}

function storedOf({ text, cost, blockSize, parallelization, salt, key }: PasswordHash) {
  return {
    id: text,
    cost,
    blockSize,
    parallelization,
    salt: Buffer.from(salt, 'base64'),
    key: Buffer.from(key, 'base64'),
  };
}

function decoyOf({ cost, blockSize, parallelization, salt, key }: StoredPassword): StoredPassword {
  return {
    id: randomBytes(16).toString('hex'),
    cost,
    blockSize,
    parallelization,
    salt: randomBytes(salt.length),
    key: randomBytes(key.length),
  };
}
