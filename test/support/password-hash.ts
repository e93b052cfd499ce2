import { randomBytes, scryptSync } from 'node:crypto';

/** The cheapest that a config takes. What stands for a password in a config: made otherwise than the program makes it. */
export function cheapHash(password: string): string {
  return hashOf(password, 10, 1);
}

/** It takes a large part of a second to compare with. */
export function dearHash(password: string): string {
  return hashOf(password, 14, 10);
}

function hashOf(password: string, ln: number, p: number): string {
  const salt = randomBytes(16);
  const key = scryptSync(password, salt, 32, { N: 2 ** ln, r: 8, p, maxmem: 2 ** 30 });
  return `$scrypt$ln=${ln},r=8,p=${p}$${base64(salt)}$${base64(key)}`;
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
