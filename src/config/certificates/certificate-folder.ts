/** A folder of certificates: every pair in it, and what is wrong with the rest. */
import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { describeFileError } from '../read/config-file.ts';
import type { Certificate } from './certificate-facts.ts';
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

/** Whatever a README or a log in such a folder says. */
const PEM_NAME = /\.(pem|crt|cer|cert|key)$/i;

type Tell = (file: string, message: string) => void;

/** What stands in it is found out when it is asked for: that is what takes the time where there are hundreds. */
class PemFile {
  readonly file: string;
  readonly text: string;
  #leaf: X509Certificate | undefined | null = null;
  #key: KeyObject | undefined | null = null;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  get leaf(): X509Certificate | undefined {
    if (this.#leaf === null) this.#leaf = leafOf(this.text);
    return this.#leaf;
  }

  get key(): KeyObject | undefined {
    if (this.#key === null) this.#key = keyOf(this.text);
    return this.#key;
  }

  isKeyOf(leaf: X509Certificate): boolean {
    return this.key !== undefined && leaf.checkPrivateKey(this.key);
  }
}

/** Found by what is public of them: with hundreds, to try each key with each certificate takes seconds. */
class Keys {
  readonly all: readonly PemFile[];
  #byPublic: ReadonlyMap<string, PemFile> | null = null;

  constructor(all: readonly PemFile[]) {
    this.all = all;
  }

  /** As a rule it lies beside the certificate, and no other need be read. */
  of(leaf: X509Certificate, file: string): PemFile | undefined {
    const next = this.all.findIndex((one) => one.file >= file);
    const beside =
      next === -1 ? this.all.slice(-1) : this.all.slice(Math.max(0, next - 1), next + 1);
    const nearest = beside.find((one) => one.isKeyOf(leaf));
    if (nearest !== undefined) return nearest;
    this.#byPublic ??= new Map(this.all.toReversed().map((one) => [publicOf(one.key), one]));
    const own = this.#byPublic.get(publicIn(leaf));
    return own?.isKeyOf(leaf) === true ? own : undefined;
  }
}

function publicOf(key: KeyObject | undefined): string {
  return key === undefined ? '' : textOf(createPublicKey(key));
}

/** Empty: it is of a kind that OpenSSL does not know. */
function publicIn(certificate: X509Certificate): string {
  try {
    return textOf(certificate.publicKey);
  } catch {
    return '';
  }
}

function textOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).toString('base64');
}

/**
 * A certificate and a key belong together if they fit, whatever their files are called: `a.crt` and `a.key`, `tls.crt` and
 * `tls.key`, `fullchain.pem` and `privkey.pem` in a folder below, or both in one file.
 * @param known pairs that were good before: where the files still hold them, they are.
 */
export function readFolder(folder: string, known: readonly Certificate[]): CertificatesRead {
  const faults: TlsFault[] = [];
  const fault: Tell = (file, message) => {
    faults.push({ key: 'folder', file, message });
  };
  let files: readonly PemFile[];
  try {
    files = pemFilesIn(folder, fault).flatMap((file) => {
      const read = readPem('folder', file);
      if ('text' in read) return new PemFile(file, read.text);
      faults.push(read.fault);
      return [];
    });
  } catch (error) {
    fault(folder, unreadable(folder, error));
    return { certificates: [], faults };
  }
  const same = sameAs(known, files);
  const settledKeys = new Set(Array.from(same.values(), ({ keyFile }) => keyFile));
  const isSettled = ({ file }: PemFile): boolean => same.has(file) || settledKeys.has(file);
  const sound = files.filter((one) => isSettled(one) || isSound(one, fault));
  const keys = new Keys(sound.filter((one) => settledKeys.has(one.file) || one.key !== undefined));
  const used = new Set<string>();
  const certificates = new Map<string, Certificate>();
  for (const one of sound) {
    const pair = same.get(one.file) ?? pairOf(one, keys, folder, used, fault);
    if (pair === undefined) continue;
    used.add(pair.keyFile);
    // certbot writes the certificate alone beside the one with its chain.
    const other = certificates.get(pair.facts.fingerprint);
    if (other === undefined || other.cert.length < pair.cert.length) {
      certificates.set(pair.facts.fingerprint, pair);
    }
  }
  const unused = keys.all.filter(({ file }) => !used.has(file));
  tellUnused(unused, sound, folder, fault);
  if (certificates.size === 0 && faults.length === 0) {
    fault(folder, `${folder} holds no certificate with its key`);
  }
  return { certificates: [...certificates.values()], faults };
}

/** Those of which both files hold what they held, by the file of the certificate. */
function sameAs(
  known: readonly Certificate[],
  files: readonly PemFile[],
): ReadonlyMap<string, Certificate> {
  const texts = new Map(files.map(({ file, text }) => [file, text]));
  const same = known.filter(
    ({ cert, certFile, key, keyFile }) =>
      texts.get(certFile) === cert && texts.get(keyFile) === key,
  );
  return new Map(same.map((one) => [one.certFile, one]));
}

function isSound({ file, text, leaf, key }: PemFile, fault: Tell): boolean {
  const saysKey = /PRIVATE KEY-----/.test(text) || file.endsWith('.key');
  if (key === undefined && saysKey) fault(file, noKeyMessage(text, file));
  else if (leaf === undefined && key === undefined)
    fault(file, `${file} holds no certificate in PEM form`);
  else return true;
  return false;
}

/** @param used keys that are of a certificate, be it a good one or not. */
function pairOf(
  { file, text, leaf }: PemFile,
  keys: Keys,
  folder: string,
  used: Set<string>,
  fault: Tell,
): Certificate | undefined {
  if (leaf === undefined) return undefined;
  const own = keys.of(leaf, file);
  if (own === undefined) {
    // The chain by itself has no key here. One that signs itself may be made as an authority, but it has host names.
    if (!leaf.ca || /DNS:/.test(leaf.subjectAltName ?? ''))
      fault(file, `${file}: the key of this certificate is not in ${folder}`);
    return undefined;
  }
  used.add(own.file);
  const pair = usable({ cert: text, key: own.text, certFile: file, keyFile: own.file, leaf });
  if ('facts' in pair) return pair;
  fault(file, pair.message);
  return undefined;
}

function tellUnused(
  unused: readonly PemFile[],
  all: readonly PemFile[],
  folder: string,
  fault: Tell,
): void {
  if (unused.length === 0) return;
  const firsts = new Set(all.flatMap(({ leaf }) => (leaf === undefined ? [] : publicIn(leaf))));
  const behind = new Map(
    all.flatMap(({ file, text }) => chainIn(text).map((link) => [publicIn(link), file] as const)),
  );
  for (const { file, key } of unused) {
    const own = publicOf(key);
    // A copy of one that is used is no mistake.
    if (firsts.has(own)) continue;
    const chain = behind.get(own);
    fault(
      file,
      chain === undefined
        ? `${file} is the key of no certificate in ${folder}`
        : `${file} is the key of a certificate in ${chain} that does not stand first there: put the chain behind it`,
    );
  }
}

/**
 * In the folder, and in those right below it. Hidden ones are passed over: Kubernetes has its own in there.
 * @throws where the folder itself can't be read; of those below it, that is a fault of theirs.
 */
function pemFilesIn(folder: string, fault: Tell): string[] {
  const files: string[] = [];
  const find = (inside: string, isBelow: boolean): void => {
    for (const name of readdirSync(inside).toSorted()) {
      if (name.startsWith('.')) continue;
      const file = path.join(inside, name);
      try {
        const isFolder = statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
        if (isFolder && !isBelow) find(file, true);
        else if (!isFolder && PEM_NAME.test(name)) files.push(file);
      } catch (error) {
        fault(file, unreadable(file, error));
      }
    }
  };
  find(folder, false);
  return files;
}

function unreadable(file: string, error: unknown): string {
  return `cannot read ${file}: ${describeFileError(error)}`;
}
