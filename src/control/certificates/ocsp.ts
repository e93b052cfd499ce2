/** Asks about a certificate, and reads the answer: RFC 6960, over HTTP by POST. Pure but for what `node:crypto` says. */
import { createHash, verify, X509Certificate } from 'node:crypto';
import {
  BIT_STRING,
  contextTag,
  type DerValue,
  ENUMERATED,
  expectTag,
  GENERALIZED_TIME,
  INTEGER,
  integer,
  nothing,
  OCTET_STRING,
  octets,
  oid,
  readAll,
  readOne,
  SEQUENCE,
  sequence,
} from './der.ts';

const SHA1 = '1.3.14.3.2.26';
const BASIC_RESPONSE = oid('1.3.6.1.5.5.7.48.1.1');
/** Extended key usage of who answers in an issuer's place. */
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
const GOOD = contextTag(0, true);
const REVOKED = contextTag(1);

const STATUS_NAMES = [
  'successful',
  'malformedRequest',
  'internalError',
  'tryLater',
  '',
  'sigRequired',
  'unauthorized',
];
const HASHES: readonly (readonly [string, string])[] = [
  ['1.2.840.113549.1.1.5', 'sha1'],
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
];

/** A certificate, and the one that has signed it. */
export interface Issued {
  readonly certificate: X509Certificate;
  readonly issuer: X509Certificate;
}

export interface OcspAnswer {
  /** From when to when it is good. */
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
}

/** The two from a PEM chain; undefined: the issuer is not in it. */
export function issuedIn(pem: string): Issued | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const [certificate, ...chain] = blocks.map((block) => new X509Certificate(block));
  if (certificate === undefined) return undefined;
  const issuer = chain.find((one) => certificate.checkIssued(one));
  return issuer && { certificate, issuer };
}

export function ocspRequest(issued: Issued): Buffer {
  return sequence(sequence(sequence(sequence(certificateId(issued)))));
}

/** RFC 6960 §4.1.1; the hash is what all responders know. */
function certificateId({ certificate, issuer }: Issued): Buffer {
  const [, serial, , issuerName] = fieldsOf(certificate);
  const spki = issuer.publicKey.export({ type: 'spki', format: 'der' });
  const [, key] = readAll(readOne(spki, SEQUENCE).content);
  return sequence(
    sequence(oid(SHA1), nothing()),
    octets(sha1((issuerName as DerValue).whole)),
    octets(sha1(expectTag(key, BIT_STRING).content.subarray(1))),
    integer(expectTag(serial, INTEGER).content),
  );
}

/** Version, serial number, algorithm, issuer, … */
function fieldsOf({ raw }: X509Certificate): DerValue[] {
  const [content] = readAll(readOne(raw, SEQUENCE).content);
  return readAll(expectTag(content, SEQUENCE).content);
}

function sha1(bytes: Buffer): Buffer {
  return createHash('sha1').update(bytes).digest();
}

/** @throws with what is wrong with it: an answer that clients would not take must not be given to them. */
export function readOcspAnswer(answer: Buffer, issued: Issued, nowMs: number): OcspAnswer {
  const [status, bytes] = readAll(readOne(answer, SEQUENCE).content);
  const code = expectTag(status, ENUMERATED).content[0] ?? -1;
  if (code !== 0) throw new Error(`the responder says ${STATUS_NAMES[code] ?? code}`);
  const [type, response] = readAll(
    readOne(expectTag(bytes, contextTag(0)).content, SEQUENCE).content,
  );
  if (type === undefined || !type.whole.equals(BASIC_RESPONSE))
    throw new Error('an answer of an unknown kind');
  const basic = readOne(expectTag(response, OCTET_STRING).content, SEQUENCE);
  const [data, algorithm, signature, certificates] = readAll(basic.content);
  const signed = expectTag(data, SEQUENCE);
  checkSignature(signed, algorithm, signature, signersIn(certificates, issued));
  return singleAnswer(signed, issued, nowMs);
}

function signersIn(certificates: DerValue | undefined, { issuer }: Issued): X509Certificate[] {
  if (certificates === undefined) return [issuer];
  const list = readOne(expectTag(certificates, contextTag(0)).content, SEQUENCE);
  const others = readAll(list.content)
    .map(({ whole }) => new X509Certificate(whole))
    .filter((one) => one.verify(issuer.publicKey) && one.keyUsage?.includes(OCSP_SIGNING) === true);
  return [issuer, ...others];
}

function checkSignature(
  signed: DerValue,
  algorithm: DerValue | undefined,
  signature: DerValue | undefined,
  signers: readonly X509Certificate[],
): void {
  const [id] = readAll(expectTag(algorithm, SEQUENCE).content);
  const hash = HASHES.find(([dotted]) => id?.whole.equals(oid(dotted)) === true)?.[1];
  if (hash === undefined) throw new Error('it is signed by an unknown algorithm');
  const bytes = expectTag(signature, BIT_STRING).content.subarray(1);
  if (!signers.some(({ publicKey }) => verify(hash, signed.whole, publicKey, bytes))) {
    throw new Error('it is not signed by the issuer of the certificate');
  }
}

function singleAnswer({ content }: DerValue, issued: Issued, nowMs: number): OcspAnswer {
  const list = readAll(content).find(({ tag }) => tag === SEQUENCE);
  const wanted = fieldsOf(issued.certificate)[1]?.content;
  for (const { content: single } of readAll(expectTag(list, SEQUENCE).content)) {
    const [id, status, thisUpdate, nextUpdate] = readAll(single);
    const [, , , serial] = readAll(expectTag(id, SEQUENCE).content);
    if (wanted === undefined || serial?.content.equals(wanted) !== true) continue;
    if (status?.tag === REVOKED) throw new Error('the certificate has been revoked');
    if (status?.tag !== GOOD) throw new Error('the responder does not know the certificate');
    if (nextUpdate?.tag !== contextTag(0)) throw new Error('it does not say how long it is good');
    const thisUpdateMs = timeOf(expectTag(thisUpdate, GENERALIZED_TIME));
    const nextUpdateMs = timeOf(readOne(nextUpdate.content, GENERALIZED_TIME));
    if (nextUpdateMs <= nowMs) throw new Error('it is out of date');
    return { thisUpdateMs, nextUpdateMs };
  }
  throw new Error('it is about other certificates');
}

/** `20261127154104Z` */
function timeOf({ content }: DerValue): number {
  const digits = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(content.toString('latin1'));
  if (digits === null) throw new Error('a time that can not be read');
  const [year = 0, month = 0, ...rest] = digits.slice(1).map(Number);
  return Date.UTC(year, month - 1, ...rest);
}
