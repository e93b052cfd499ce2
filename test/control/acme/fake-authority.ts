/** An authority that says what a test wants it to say, to whom it wants: RFC 8555 as far as an order goes, with challenges that are met already. */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  bits,
  context,
  integer,
  octets,
  oid,
  readAll,
  readOne,
  SEQUENCE,
  sequence,
  setOf,
  time,
  utf8,
} from '../../../src/control/certificates/der.ts';
import { pemOf } from '../../../src/control/certificates/sign.ts';
import { afterTest } from '../../support/after-test.ts';
import { makeCertificate } from '../../support/certificate.ts';

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const HOUR_MS = 3_600_000;

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Request {
  /** `order`, `state` (of an order), `authorization`, `finalize`, `certificate`, `nonce`, `account`, `directory` */
  readonly what: string;
  /** Empty: it is about none. */
  readonly name: string;
  readonly publicKey: KeyObject | undefined;
}

/** In place of what it would say; undefined: that. */
export type Instead = (request: Request) => Answer | undefined;

export class FakeAuthority {
  readonly caFile: string;
  /** Names of orders. */
  readonly orders: string[] = [];
  instead: Instead = () => undefined;
  readonly #signer: KeyObject;
  readonly #keys = new Map<number, KeyObject>();
  #port = 0;

  private constructor(caFile: string, keyFile: string) {
    this.caFile = caFile;
    this.#signer = createPrivateKey(readFileSync(keyFile));
  }

  static async start(): Promise<FakeAuthority> {
    const { cert_file: certFile, key_file: keyFile } = makeCertificate();
    const authority = new FakeAuthority(certFile, keyFile);
    const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    const server = createServer(tls, (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        authority.#answer(request.url ?? '/', Buffer.concat(parts).toString(), response);
      });
    });
    server.listen(0, 'localhost');
    await once(server, 'listening');
    afterTest(() => {
      server.closeAllConnections();
      server.close();
    });
    authority.#port = (server.address() as AddressInfo).port;
    return authority;
  }

  get directoryUrl(): string {
    return `${this.#own}/directory`;
  }

  /** PEM, signed by nobody whom anybody knows. */
  certificateFor(
    name: string,
    publicKey: KeyObject,
    { fromMs = Date.now() - HOUR_MS, toMs = Date.now() + 90 * 24 * HOUR_MS } = {},
  ): string {
    const algorithm = sequence(oid(ECDSA_WITH_SHA256));
    const called = sequence(setOf(sequence(oid('2.5.4.3'), utf8('fake'))));
    const names = sequence(context(2, Buffer.from(name), true));
    const content = sequence(
      context(0, integer(Buffer.from([2]))),
      integer(Buffer.from([1 + this.orders.length])),
      algorithm,
      called,
      sequence(time(fromMs), time(toMs)),
      called,
      publicKey.export({ type: 'spki', format: 'der' }),
      context(3, sequence(sequence(oid('2.5.29.17'), octets(names)))),
    );
    const signature = bits(sign('sha256', content, this.#signer));
    return pemOf('CERTIFICATE', sequence(content, algorithm, signature));
  }

  get #own(): string {
    return `https://localhost:${this.#port}`;
  }

  #answer(path: string, text: string, response: ServerResponse): void {
    const [, what = '', number = ''] = path.split('/');
    const payload = payloadOf(text);
    if (what === 'order') this.orders.push(payload.identifiers?.[0]?.value ?? '');
    const at = what === 'order' ? this.orders.length - 1 : Number(number);
    if (payload.csr !== undefined) this.#keys.set(at, keyIn(payload.csr));
    const request = { what, name: this.orders[at] ?? '', publicKey: this.#keys.get(at) };
    const isAboutOrder = number !== '' || what === 'order';
    const said =
      this.instead(isAboutOrder ? request : { ...request, name: '' }) ?? this.#usual(request, at);
    response.writeHead(said.status ?? 200, { 'Replay-Nonce': 'nonce', ...said.headers });
    response.end(said.body ?? '');
  }

  #usual({ what, name, publicKey }: Request, at: number): Answer {
    const own = this.#own;
    const state = JSON.stringify({
      status: publicKey === undefined ? 'ready' : 'valid',
      authorizations: [`${own}/authorization/${at}`],
      finalize: `${own}/finalize/${at}`,
      ...(publicKey !== undefined && { certificate: `${own}/certificate/${at}` }),
    });
    switch (what) {
      case 'directory': {
        const places = { newNonce: 'nonce', newAccount: 'account', newOrder: 'order' };
        const urls = Object.entries(places).map(([key, place]) => [key, `${own}/${place}`]);
        return { body: JSON.stringify(Object.fromEntries(urls)) };
      }
      case 'account':
        return { status: 201, headers: { Location: `${own}/account/1` }, body: '{}' };
      case 'order':
        return { status: 201, headers: { Location: `${own}/state/${at}` }, body: state };
      case 'certificate':
        return publicKey === undefined
          ? { status: 404 }
          : { body: this.certificateFor(name, publicKey) };
      case 'authorization':
        return { body: JSON.stringify({ status: 'valid', challenges: [] }) };
      default:
        return { body: what === 'nonce' ? '' : state };
    }
  }
}

function payloadOf(text: string): {
  readonly identifiers?: readonly { readonly value: string }[];
  readonly csr?: string;
} {
  if (text === '') return {};
  const { payload } = JSON.parse(text) as { payload: string };
  return payload === '' ? {} : JSON.parse(Buffer.from(payload, 'base64url').toString());
}

/** RFC 2986 §4.1: version, subject, key. */
function keyIn(csr: string): KeyObject {
  const [content] = readAll(readOne(Buffer.from(csr, 'base64url'), SEQUENCE).content);
  const [, , key] = readAll(content?.content ?? Buffer.alloc(0));
  return createPublicKey({ key: key?.whole ?? Buffer.alloc(0), type: 'spki', format: 'der' });
}
