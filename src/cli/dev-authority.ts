/** The authority that signs certificates for development: one for each user, made when it is first needed. */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir, hostname, userInfo } from 'node:os';
import path from 'node:path';
import { makeAuthority, pemOf, type Signed, type Signer } from '../control/certificates/sign.ts';

const DAYS = 3650;
const KEY_MODE = 0o600;
const FOLDER_MODE = 0o700;

export interface DevAuthority {
  readonly signer: Signer;
  /** Its certificate. */
  readonly file: string;
  readonly certificate: X509Certificate;
  readonly isNew: boolean;
}

/** Where it lives unless the user says otherwise. */
export function defaultAuthorityFolder(env: NodeJS.ProcessEnv): string {
  const data = env['XDG_DATA_HOME'] || path.join(env['HOME'] || homedir(), '.local', 'share');
  return path.join(data, 'fairlead', 'dev-authority');
}

/** @throws where its files are not what they should be. */
export function openAuthority(folder: string): DevAuthority {
  const file = path.join(folder, 'ca.crt');
  const keyFile = path.join(folder, 'ca.key');
  if (!existsSync(file) && !existsSync(keyFile)) {
    mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
    // Whoever meets it in a list of authorities shall know whose it is.
    const authority = makeAuthority(`${userInfo().username}@${hostname()}`, DAYS);
    writePair(authority, file, keyFile);
    const certificate = new X509Certificate(authority.certificate);
    return { signer: authority, file, certificate, isNew: true };
  }
  const certificate = new X509Certificate(readFileSync(file));
  const privateKey = createPrivateKey(readFileSync(keyFile));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error(`${keyFile} is not the key of ${file}`);
  }
  if (Date.parse(certificate.validTo) < Date.now()) {
    throw new Error(
      `${file} has expired: move ${folder} away, and trust the authority that follows`,
    );
  }
  const name = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
  const signer = { name, privateKey, publicKey: createPublicKey(privateKey) };
  return { signer, file, certificate, isNew: false };
}

/** Each whole or not at all; the key is nobody else's from its first byte on. */
export function writePair(
  { certificate, privateKey }: Signed,
  certFile: string,
  keyFile: string,
  chain = '',
): void {
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  writeWhole(keyFile, key, KEY_MODE);
  writeWhole(certFile, pemOf('CERTIFICATE', certificate) + chain, 0o644);
}

function writeWhole(file: string, text: string, mode: number): void {
  const own = `${file}.${process.pid}.new`;
  writeFileSync(own, text, { mode, flag: 'wx' });
  // Whatever the umask says.
  chmodSync(own, mode);
  renameSync(own, file);
}
