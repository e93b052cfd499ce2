/** Keys that secrets are sealed under where they are stored: 32 bytes each, in hex or base64. */

const AS_HEX = /^[0-9a-f]{64}$/i;
const AS_BASE64 = /^[\w+/-]{43}=?$/;

export const SEALING_KEY = 'a key is 32 bytes, in hex or base64: one of `openssl rand -base64 32`';

/** One in each line; empty lines and `#` comments say nothing. */
export function sealingKeysIn(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

/** Undefined: it is none. */
export function readSealingKey(line: string): Buffer | undefined {
  if (AS_HEX.test(line)) return Buffer.from(line, 'hex');
  return AS_BASE64.test(line) ? Buffer.from(line, 'base64') : undefined;
}
