/**
 * Text to a number, the same in every thread, after every restart and on every machine.
 *
 * MurmurHash3_x86_32 (Austin Appleby, SMHasher, 2011), over the text as UTF-16, little-endian: two characters a step.
 * It spreads well and is no secret: whoever may choose the text can find collisions. What a client can gain by them (a
 * place in a table, a certain backend) has to be bounded elsewhere, or the seed has to be unknown to it.
 */

/**
 * @param seed any whole number of 32 bits: another seed, another function.
 * @returns a whole number from −2^31 to 2^31 − 1: V8 would make an object of a larger one, unless it inlines the call.
 */
export function hashText(text: string, seed: number): number {
  const { length } = text;
  let hash = seed | 0;
  let index = 0;
  for (; index + 1 < length; index += 2) {
    hash ^= scrambled(text.charCodeAt(index) | (text.charCodeAt(index + 1) << 16));
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6_54_6b_64) | 0;
  }
  if (index < length) hash ^= scrambled(text.charCodeAt(index));
  return mixed(hash ^ (length * 2));
}

function scrambled(block: number): number {
  const product = Math.imul(block, 0xcc_9e_2d_51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b_87_35_93);
}

/** MurmurHash3's finalizer: each bit of a 32-bit integer changes each bit of the result in about half of all cases. */
export function mixed(integer: number): number {
  let bits = integer;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85_eb_ca_6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2_b2_ae_35);
  return bits ^ (bits >>> 16);
}
