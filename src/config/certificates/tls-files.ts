/**
 * The certificates and keys that clients are served with: read, and known to fit together before anything is served with them.
 * Every message names its file; none holds anything of its content.
 */
import type { Certificate, CertificateSource } from './certificate-facts.ts';
import { readFolder } from './certificate-folder.ts';
import {
  type CertificatesRead,
  chainIn,
  keyOf,
  leafOf,
  noKeyMessage,
  readPem,
  type TlsFault,
  usable,
} from './pem.ts';

/** Whether clients are spoken to in TLS: the files alone say so, too. */
export function speaksTls(ssl: {
  readonly enabled?: boolean | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
}): boolean {
  return ssl.enabled ?? (ssl.cert_file !== undefined || ssl.key_file !== undefined);
}

/** @param known what was read before: of a folder, pairs that are the same are not judged again. */
export function readCertificates(
  source: CertificateSource,
  known: readonly Certificate[] = [],
): CertificatesRead {
  return source.kind === 'pair'
    ? readPair(source.certFile, source.keyFile)
    : readFolder(source.folder, known);
}

function readPair(certFile: string, keyFile: string): CertificatesRead {
  const faults: TlsFault[] = [];
  const fault = (key: TlsFault['key'], file: string, message: string): undefined => {
    faults.push({ key, file, message });
    return undefined;
  };
  const read = (key: TlsFault['key'], file: string): string | undefined => {
    const result = readPem(key, file);
    if ('text' in result) return result.text;
    faults.push(result.fault);
    return undefined;
  };
  const cert = read('cert_file', certFile);
  const key = certFile === keyFile ? cert : read('key_file', keyFile);
  const leaf =
    cert === undefined
      ? undefined
      : (leafOf(cert) ??
        fault('cert_file', certFile, `${certFile} holds no certificate in PEM form`));
  const privateKey =
    key === undefined
      ? undefined
      : (keyOf(key) ?? fault('key_file', keyFile, noKeyMessage(key, keyFile)));
  if (leaf === undefined || privateKey === undefined) return { certificates: [], faults };
  if (!leaf.checkPrivateKey(privateKey)) {
    const message = chainIn(cert as string).some((one) => one.checkPrivateKey(privateKey))
      ? `${certFile} does not begin with the certificate that ${keyFile} is the key of, but has it further down: put the chain behind it`
      : `${keyFile} is not the key of the certificate in ${certFile}`;
    return { certificates: [], faults: [{ key: 'key_file', file: keyFile, message }] };
  }
  const pair = usable({ cert: cert as string, key: key as string, certFile, keyFile, leaf });
  if ('message' in pair) {
    return {
      certificates: [],
      faults: [{ key: 'cert_file', file: certFile, message: pair.message }],
    };
  }
  return { certificates: [pair], faults };
}

export function notesOnExpiry({ certFile, facts }: Certificate): readonly string[] {
  const nowMs = Date.now();
  if (facts.notBeforeMs > nowMs) {
    return [`the certificate in ${certFile} is good from ${dayOf(facts.notBeforeMs)} on only`];
  }
  return facts.notAfterMs < nowMs
    ? [`the certificate in ${certFile} expired on ${dayOf(facts.notAfterMs)}`]
    : [];
}

/** Clients follow a chain from one certificate to the next, and most of them in any order; some do not. */
export function notesOnChain(certificate: Certificate): readonly string[] {
  const nowMs = Date.now();
  const links = linksOf(certificate);
  // Of a whole bundle of authorities, one is enough to say.
  const ended = links.find(({ notAfterMs }) => notAfterMs < nowMs);
  const strange = links.find(({ isIssuer }) => !isIssuer);
  const which = (link: Link): string =>
    `certificate ${links.indexOf(link) + 2} in ${certificate.certFile}`;
  const notes: string[] = [];
  if (ended !== undefined) {
    notes.push(`${which(ended)}, of its chain, expired on ${dayOf(ended.notAfterMs)}`);
  }
  if (strange !== undefined) {
    notes.push(
      `${which(strange)} is not that of the issuer of the one before it: clients may not trust it`,
    );
  }
  return notes;
}

interface Link {
  readonly notAfterMs: number;
  /** Of the certificate before it. */
  readonly isIssuer: boolean;
}

/** Those that stay are asked about with each reload. */
const known = new WeakMap<Certificate, readonly Link[]>();

function linksOf(certificate: Certificate): readonly Link[] {
  const before = known.get(certificate);
  if (before !== undefined) return before;
  const links = chainIn(certificate.cert);
  const all = links.length === 0 ? [] : [leafOf(certificate.cert), ...links];
  const found = links.map((link, index) => ({
    notAfterMs: Date.parse(link.validTo),
    isIssuer: all[index]?.checkIssued(link) !== false,
  }));
  known.set(certificate, found);
  return found;
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
