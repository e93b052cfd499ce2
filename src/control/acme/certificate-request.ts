/** What an authority is asked to sign (PKCS #10, RFC 2986), and the certificate that is shown to it at TLS-ALPN-01 (RFC 8737 §3). */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import {
  bits,
  context,
  integer,
  octets,
  oid,
  sequence,
  setOf,
  truth,
} from '../certificates/der.ts';
import { pemOf, selfSigned } from '../certificates/sign.ts';

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const SUBJECT_ALT_NAME = '2.5.29.17';
const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31';

/** PEM. */
export function makeKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return pemOfKey(privateKey);
}

/** DER in base64url, as RFC 8555 §7.4 has it. @param keyPem of a key on P-256. */
export function certificateRequest(name: string, keyPem: string): string {
  const key = createPrivateKey(keyPem);
  const names = sequence(oid(SUBJECT_ALT_NAME), octets(sequence(dnsName(name))));
  const content = sequence(
    integer(Buffer.from([0])),
    // No subject: the name stands where it counts.
    sequence(),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    context(0, sequence(oid(EXTENSION_REQUEST), setOf(sequence(names)))),
  );
  const signature = bits(sign('sha256', content, key));
  return sequence(content, sequence(oid(ECDSA_WITH_SHA256)), signature).toString('base64url');
}

/** @param authorization of the key: RFC 8555 §8.1. */
export function validationCertificate(
  name: string,
  authorization: string,
  nowMs: number,
): { readonly cert: string; readonly key: string } {
  const digest = createHash('sha256').update(authorization).digest();
  const signed = selfSigned(
    name,
    [
      sequence(oid(SUBJECT_ALT_NAME), octets(sequence(dnsName(name)))),
      sequence(oid(ACME_IDENTIFIER), truth(), octets(octets(digest))),
    ],
    1,
    nowMs,
  );
  return { cert: pemOf('CERTIFICATE', signed.certificate), key: pemOfKey(signed.privateKey) };
}

function dnsName(name: string): Buffer {
  return context(2, Buffer.from(name, 'latin1'), true);
}

function pemOfKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
