import { randomBytes, scryptSync } from 'node:crypto';

/** The cheapest that a config takes. */
const COST = 2 ** 10;

/** What stands for a password in a config: made otherwise than the program makes it. */
export function cheapHash(password: string): string {
  const salt = randomBytes(16);
  const key = scryptSync(password, salt, 32, { N: COST, r: 8, p: 1 });
  return `$scrypt$ln=10,r=8,p=1$${base64(salt)}$${base64(key)}`;
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
