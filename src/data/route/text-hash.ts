/**
 * The hash of a text, one character a step, so that it is known at every place on the way. A step is two operations, which
 * take less time than it takes to get at a character. It is no secret and tells texts apart poorly: whoever finds something
 * by it must compare, and who takes its low bits must spread it first.
 */

/** The hash of a text with one more character, from that without it; of the empty text it is 0. */
export function addToHash(hash: number, code: number): number {
  return ((hash << 5) | (hash >>> 27)) ^ code;
}

/** All bits of a hash have a part in the low ones. */
export function spread(hash: number): number {
  const bits = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
  return bits ^ (bits >>> 13);
}
