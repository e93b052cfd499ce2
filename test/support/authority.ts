import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterTest } from './after-test.ts';

export interface Signed {
  readonly cert: string;
  readonly key: string;
}

export interface SignOptions {
  /** In place of the one. */
  readonly names?: readonly string[];
  readonly isRsa?: boolean;
  /** As openssl has them, without spaces: `tlsfeature=status_request`. */
  readonly extensions?: readonly string[];
  readonly subject?: string;
}

/** An authority of our own: signs certificates that are good for what they are asked for. */
export class Authority {
  /** Its certificate, as NODE_EXTRA_CA_CERTS takes it. */
  readonly file: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'fairlead-authority-'));
  #signed = 0;

  constructor() {
    const folder = this.#folder;
    afterTest(() => rmSync(folder, { recursive: true, force: true }));
    this.file = join(folder, 'ca.crt');
    const request =
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority';
    this.#openssl(`${request} -keyout ${folder}/ca.key -out ${this.file}`);
    mkdirSync(join(folder, 'new'));
    writeFileSync(join(folder, 'index.txt'), '');
    writeFileSync(
      join(folder, 'ca.conf'),
      `[ca]\ndefault_ca=own\n[own]\ndatabase=${folder}/index.txt\nnew_certs_dir=${folder}/new\nrand_serial=yes\n` +
        'default_md=sha256\npolicy=any\nunique_subject=no\ncopy_extensions=copy\n[any]\norganizationName=optional\ncommonName=supplied\n',
    );
  }

  /** @param name of the host that it is good for. @param ends as openssl takes it: YYMMDDHHMMSSZ. */
  sign(name: string, ends = '401231000000Z', more: SignOptions = {}): Signed {
    const base = join(this.#folder, String(this.#signed++));
    const { names = [name], isRsa = false, extensions = [], subject = `/CN=${name}` } = more;
    const key = isRsa ? 'rsa:2048' : 'ec -pkeyopt ec_paramgen_curve:P-256';
    const said = [`subjectAltName=${names.map((one) => `DNS:${one}`).join(',')}`, ...extensions];
    const added = said.map((one) => `-addext ${one}`).join(' ');
    this.#openssl(
      `req -new -newkey ${key} -nodes -utf8 -subj ${subject} ${added} -keyout ${base}.key -out ${base}.csr`,
    );
    this.#openssl(
      `ca -batch -notext -config ${this.#folder}/ca.conf -cert ${this.file} -keyfile ${this.#folder}/ca.key -startdate 200101000000Z -enddate ${ends} -in ${base}.csr -out ${base}.crt`,
    );
    return { cert: readFileSync(`${base}.crt`, 'utf8'), key: readFileSync(`${base}.key`, 'utf8') };
  }

  /** Of it, to an OCSP request; as its responder gives it. */
  answer(request: Buffer, more = ''): Buffer {
    const base = join(this.#folder, String(this.#signed++));
    writeFileSync(`${base}.request`, request);
    const signer = `-index ${this.#folder}/index.txt -CA ${this.file} -rsigner ${this.file}`;
    this.#openssl(
      `ocsp ${signer} -rkey ${this.#folder}/ca.key -ndays 1 -reqin ${base}.request -respout ${base}.answer${more}`,
    );
    return readFileSync(`${base}.answer`);
  }

  revoke({ cert }: Signed): void {
    const file = join(this.#folder, `${this.#signed++}.crt`);
    writeFileSync(file, cert);
    this.#openssl(
      `ca -config ${this.#folder}/ca.conf -cert ${this.file} -keyfile ${this.#folder}/ca.key -revoke ${file}`,
    );
  }

  #openssl(command: string): void {
    execFileSync('openssl', command.split(' '), { stdio: 'ignore' });
  }
}
