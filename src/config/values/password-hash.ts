/**
 * Passwords as they stand in a config: `$scrypt$ln=14,r=8,p=5$SALT$KEY`, the form that passlib and others write, too (PHC string
 * format; base64 without padding). What computing one takes is bounded, since anybody can ask for it.
 */
import { randomBytes, scryptSync } from 'node:crypto';
import type { PasswordHash } from '../../snapshot/route-answer.ts';

const FORM =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

const LEAST_LN = 10;
const MOST_LN = 17;
const MOST_BLOCK_SIZE = 16;
/** In the units of N·r·p: about half a second of a processor. */
const MOST_WORK = 2 ** 22;
/** 128·N·r. */
const MOST_BYTES = 128 * 1024 * 1024;

/** As OWASP has it for 16 MiB: about 200 ms. */
const MADE = { ln: 14, blockSize: 8, parallelization: 5 } as const;

export type HashResult =
  | { readonly ok: true; readonly hash: PasswordHash }
  | { readonly ok: false; readonly reason: string };

/** No reason ever says anything of the text. */
export function parsePasswordHash(text: string): HashResult {
  const parts = FORM.exec(text);
  if (parts === null) {
    return { ok: false, reason: 'must be a hash, as "fairlead hash-password" makes it' };
  }
  const [ln = 0, blockSize = 0, parallelization = 0] = parts.slice(1, 4).map(Number);
  const [salt = '', key = ''] = parts.slice(4);
  const cost = 2 ** ln;
  if (ln < LEAST_LN || blockSize < 8 || parallelization < 1) {
    return { ok: false, reason: `is too cheap: ln must be ${LEAST_LN} or more, r 8 or more` };
  }
  const isTooDear =
    ln > MOST_LN ||
    blockSize > MOST_BLOCK_SIZE ||
    128 * cost * blockSize > MOST_BYTES ||
    cost * blockSize * parallelization > MOST_WORK;
  if (isTooDear) {
    return { ok: false, reason: 'is too dear: 128·N·r is at most 128 MiB, N·r·p at most 2^22' };
  }
  return { ok: true, hash: { text, cost, blockSize, parallelization, salt, key } };
}

/** @param password in UTF-8 (RFC 7617 §2.1 has it in NFC). */
export function hashPassword(password: string): string {
  const { ln, blockSize: r, parallelization: p } = MADE;
  const salt = randomBytes(16);
  const key = scryptSync(password.normalize('NFC'), salt, 32, {
    N: 2 ** ln,
    r,
    p,
    maxmem: 256 * 2 ** ln * r,
  });
  return `$scrypt$ln=${ln},r=${r},p=${p}$${base64(salt)}$${base64(key)}`;
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
