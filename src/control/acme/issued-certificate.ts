/** A certificate as it is served, from what was issued or kept. */
import { createPrivateKey } from 'node:crypto';
import type { Certificate } from '../../config/certificate-facts.ts';
import { leafOf, usable } from '../../config/pem.ts';

export class UnfitCertificate extends Error {}

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
