/** The file of tokens of the admin API: a line each, `NAME ROLE sha256:DIGEST`. */
import { statSync } from 'node:fs';
import { didYouMean } from '../values/nearest.ts';
import { ADMIN_ROLES, type AdminToken, isTokenName, TOKEN_PREFIX } from './admin-token.ts';
import { readNamedFile } from './named-file.ts';

export interface TokenFault {
  /** Undefined: of the file as a whole. */
  readonly line?: number;
  /** It never holds anything of the line but a name that is sound, since any file may be named as one of tokens. */
  readonly message: string;
  readonly hint?: string;
}

export interface TokensRead {
  readonly tokens: readonly AdminToken[];
  readonly faults: readonly TokenFault[];
  readonly notes: readonly string[];
}

const MOST_BYTES = 256 * 1024;
/** Each is compared with what a caller has sent. */
const MOST_TOKENS = 500;
const MOST_FAULTS = 5;
const DIGEST = /^sha256:([0-9a-f]{64})$/i;
const HINT = 'write NAME viewer|operator sha256:…, as "fairlead token new" prints it';

export function readTokensFile(file: string): TokensRead {
  const read = readNamedFile(file, MOST_BYTES);
  if ('fault' in read) return { tokens: [], faults: [{ message: read.fault }], notes: [] };
  return { ...parseTokens(read.bytes.toString('latin1')), notes: notesOnMode(file) };
}

export function parseTokens(text: string): Omit<TokensRead, 'notes'> {
  const tokens: AdminToken[] = [];
  const faults: TokenFault[] = [];
  const linesOf = new Map<string, number>();
  for (const [index, whole] of text.split('\n').entries()) {
    const written = whole.trim();
    if (written === '' || written.startsWith('#')) continue;
    const line = index + 1;
    const token = parseLine(written);
    const known =
      'message' in token ? undefined : (linesOf.get(token.name) ?? linesOf.get(token.digest));
    if ('message' in token) faults.push({ line, ...token });
    else if (known !== undefined) {
      const what = linesOf.has(token.name) ? `the name ${token.name}` : 'the token';
      faults.push({ line, message: `${what} is in line ${known}, too` });
    } else {
      linesOf.set(token.name, line).set(token.digest, line);
      tokens.push(token);
    }
    if (faults.length >= MOST_FAULTS) break;
  }
  if (tokens.length > MOST_TOKENS) {
    faults.push({ message: `it has ${tokens.length} tokens, and ${MOST_TOKENS} are the most` });
  }
  return { tokens, faults };
}

function parseLine(line: string): AdminToken | Pick<TokenFault, 'message' | 'hint'> {
  const [name = '', role = '', hash = '', more] = line.split(/\s+/);
  if (hash === '' || more !== undefined) {
    return { message: 'must be a name, a role and a hash', hint: HINT };
  }
  if (!isTokenName(name)) {
    return {
      message: 'its name must be 1 to 64 letters, digits, and any of _ . @ + -',
      hint: HINT,
    };
  }
  const known = ADMIN_ROLES.find((one) => one === role);
  if (known === undefined) {
    return {
      message: `its role must be one of ${ADMIN_ROLES.join(', ')}`,
      ...didYouMean(role.slice(0, 20), ADMIN_ROLES),
    };
  }
  const [, digest] = DIGEST.exec(hash) ?? [];
  if (digest !== undefined) return { name, role: known, digest: digest.toLowerCase() };
  return hash.startsWith(TOKEN_PREFIX)
    ? { message: `the token itself stands there: only its hash may`, hint: HINT }
    : { message: `its hash must be sha256: and 64 hexadecimal digits`, hint: HINT };
}

/** What is in it may be read by others: it leads to no token. Whoever may write it makes tokens of their own. */
function notesOnMode(file: string): string[] {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined || (stat.mode & 0o022) === 0) return [];
  const who = (stat.mode & 0o002) === 0 ? 'its group' : 'anybody on this machine';
  return [
    `${file} can be written by ${who}, who can so give themselves a token of the admin API: chmod go-w ${file}`,
  ];
}
