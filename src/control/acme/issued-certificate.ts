/** A certificate as it is served, from what was issued or kept. */
import { createPrivateKey } from 'node:crypto';
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import { certificatesIn, leafOf, usable } from '../../config/certificates/pem.ts';

/** The longest of those that are trusted today have four: clients stop reading somewhere, and each handshake carries all of it. */
const LONGEST_CHAIN = 10;

export class UnfitCertificate extends Error {}

/**
 * As `issuedCertificate`, of one that comes from an authority right now: what is wrong with it then is no reason to serve it.
 * @throws UnfitCertificate
 */
export function newCertificate(
  name: string,
  pair: { readonly cert: string; readonly key: string },
  nowMs: number,
): Certificate {
  const certificate = issuedCertificate(name, pair);
  const { notAfterMs } = certificate.facts;
  if (notAfterMs <= nowMs) {
    const end = new Date(notAfterMs).toISOString();
    throw new UnfitCertificate(
      `the certificate that was issued for ${name} has ended, at ${end}: is the clock of this machine right?`,
    );
  }
  const count = certificatesIn(pair.cert).length;
  if (count <= LONGEST_CHAIN) return certificate;
  throw new UnfitCertificate(
    `the certificate that was issued for ${name} has a chain of ${count}, and ${LONGEST_CHAIN} are read`,
  );
}

/** @throws UnfitCertificate, with a reason for people: it can't be served for this name with this key. */
export function issuedCertificate(
  name: string,
  { cert, key }: { readonly cert: string; readonly key: string },
): Certificate {
  const leaf = leafOf(cert);
  if (leaf === undefined)
    throw new UnfitCertificate(`what was issued for ${name} is no certificate`);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) {
    throw new UnfitCertificate(`the certificate that was issued for ${name} is for another key`);
  }
  // No file has it: this is where it comes from, for whoever reads of it.
  const certFile = `acme:${name}`;
  const certificate = usable({ cert, key, certFile, keyFile: certFile, leaf });
  if ('message' in certificate) throw new UnfitCertificate(certificate.message);
  if (certificate.facts.names.includes(name)) return certificate;
  throw new UnfitCertificate(
    `the certificate that was issued for ${name} does not have it among its names`,
  );
}
