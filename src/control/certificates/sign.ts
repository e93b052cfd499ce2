/** Makes certificates (RFC 5280) with EC keys (P-256), for development: an authority, and what it signs. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import net from 'node:net';
import { bits, context, integer, octets, oid, sequence, setOf, time, truth, utf8 } from './der.ts';

const DAY_MS = 24 * 3_600_000;
const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

export interface Signer {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export interface Signed extends Signer {
  /** DER. */
  readonly certificate: Buffer;
}

/** Signs itself. */
export function makeAuthority(name: string, days: number, nowMs = Date.now()): Signed {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const own = { name, ...keys };
  const extensions = [
    // It signs certificates, and no further authorities.
    extension('2.5.29.19', sequence(truth(), integer(Buffer.from([0]))), true),
    extension('2.5.29.15', bits(Buffer.from([0b0000_0110]), 1), true),
  ];
  return { ...own, certificate: certificateOf(own, own, extensions, days, nowMs) };
}

/** @param extensions in DER, beside the one with its key. */
export function selfSigned(
  name: string,
  extensions: readonly Buffer[],
  days: number,
  nowMs: number,
): Signed {
  const own = { name, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
  return { ...own, certificate: certificateOf(own, own, extensions, days, nowMs) };
}

/** @param names hosts, `*.example.test` and addresses among them; of a client: the one that it is called. */
export function makeCertificate(
  names: readonly string[],
  authority: Signer,
  usage: 'server' | 'client',
  days: number,
  nowMs = Date.now(),
): Signed {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [name = ''] = names;
  const own = { name, ...keys };
  const extensions = [
    extension('2.5.29.19', sequence(), true),
    extension('2.5.29.15', bits(Buffer.from([0b1000_0000]), 7), true),
    extension('2.5.29.37', sequence(oid(usage === 'server' ? SERVER_AUTH : CLIENT_AUTH))),
    ...(usage === 'server' ? [extension('2.5.29.17', sequence(...names.map(generalName)))] : []),
    extension('2.5.29.35', sequence(context(0, keyId(authority.publicKey), true))),
  ];
  return { ...own, certificate: certificateOf(own, authority, extensions, days, nowMs) };
}

function certificateOf(
  subject: Signer,
  issuer: Signer,
  extensions: readonly Buffer[],
  days: number,
  nowMs: number,
): Buffer {
  const algorithm = sequence(oid(ECDSA_WITH_SHA256));
  const own = extension('2.5.29.14', octets(keyId(subject.publicKey)));
  const content = sequence(
    // Version 3.
    context(0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    algorithm,
    nameOf(issuer.name),
    // Clocks differ.
    sequence(time(nowMs - 3_600_000), time(nowMs + days * DAY_MS)),
    nameOf(subject.name),
    subject.publicKey.export({ type: 'spki', format: 'der' }),
    context(3, sequence(...extensions, own)),
  );
  return sequence(content, algorithm, bits(sign('sha256', content, issuer.privateKey)));
}

/** 16 bytes, without a zero at their head. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return bytes;
}

function nameOf(name: string): Buffer {
  const parts = [
    [ORGANIZATION, 'Fairlead development'],
    [COMMON_NAME, name.slice(0, 64)],
  ] as const;
  return sequence(...parts.map(([type, value]) => setOf(sequence(oid(type), utf8(value)))));
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(id), ...(isCritical ? [truth()] : []), octets(value));
}

/** RFC 5280 §4.2.1.6: `dNSName`, `iPAddress`. */
function generalName(name: string): Buffer {
  const version = net.isIP(name);
  return version === 0
    ? context(2, Buffer.from(name, 'latin1'), true)
    : context(7, addressBytes(name, version), true);
}

function addressBytes(address: string, version: number): Buffer {
  if (version === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const [before, after] = [groupsOf(head), groupsOf(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const all = [...before, ...zeros, ...after].map((group) => group.padStart(4, '0'));
  return Buffer.from(all.join(''), 'hex');
}

function groupsOf(text = ''): string[] {
  return text === '' ? [] : text.split(':');
}

/** RFC 5280 §4.2.1.2: SHA-1 of the key, as it stands in its bit string. */
function keyId(key: KeyObject): Buffer {
  const spki = key.export({ type: 'spki', format: 'der' });
  // The last 65 bytes: an uncompressed point of P-256.
  return createHash('sha1').update(spki.subarray(-65)).digest();
}

export function pemOf(label: 'CERTIFICATE', bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
