/**
 * Strings in the Huffman code of HPACK (RFC 7541 §5.2), both ways.
 *
 * Decoding takes a byte at a time: an automaton whose states are the inner nodes of the code's tree. No code is shorter than five
 * bits, so that a byte completes two symbols at most; a step says where it leads and which they are.
 */
import { CODE_LENGTHS, CODES, END_OF_STRING } from './huffman-code.ts';

/** A step: the next state, how many symbols the byte completes, and those. */
const COUNT_SHIFT = 8;
const FIRST_SHIFT = 16;
const SECOND_SHIFT = 24;
/** In place of a count: the code of END_OF_STRING, which is an error. */
const IS_ERROR = 3;

const STATES = 256;

/** Padding is at most so many bits, all 1. */
const MAX_PADDING = 7;

/** Made when it is first needed: some 2 ms. */
let steps: Uint32Array | null = null;
/** By state: whether a string may end there. */
const MAY_END = new Uint8Array(STATES);

/** Children of inner nodes, two for each: a node, or a symbol as −1 − symbol. */
function tree(): Int32Array {
  const children = new Int32Array(STATES * 2);
  let nodes = 1;
  for (let symbol = 0; symbol <= END_OF_STRING; symbol++) {
    const length = CODE_LENGTHS[symbol] as number;
    const code = CODES[symbol] as number;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const at = node * 2 + ((code >>> bit) & 1);
      if (children[at] === 0) children[at] = nodes++;
      node = children[at] as number;
    }
    children[node * 2 + (code & 1)] = -1 - symbol;
  }
  return children;
}

function makeSteps(): Uint32Array {
  const children = tree();
  const made = new Uint32Array(STATES * 256);
  for (let state = 0; state < STATES; state++) {
    for (let byte = 0; byte < 256; byte++) {
      made[state * 256 + byte] = stepOf(children, state, byte);
    }
  }
  let node = 0;
  for (let bits = 0; bits <= MAX_PADDING; bits++) {
    MAY_END[node] = 1;
    node = children[node * 2 + 1] as number;
  }
  return made;
}

function stepOf(children: Int32Array, state: number, byte: number): number {
  let node = state;
  let count = 0;
  let symbols = 0;
  for (let bit = 7; bit >= 0; bit--) {
    node = children[node * 2 + ((byte >>> bit) & 1)] as number;
    if (node >= 0) continue;
    const symbol = -1 - node;
    if (symbol === END_OF_STRING) return IS_ERROR << COUNT_SHIFT;
    symbols |= symbol << (count === 0 ? FIRST_SHIFT : SECOND_SHIFT);
    count++;
    node = 0;
  }
  return (symbols | (count << COUNT_SHIFT) | node) >>> 0;
}

/** The most that `length` bytes are decoded to. */
export function decodedBytes(length: number): number {
  // One more: a step writes two symbols, whether there are two or not.
  return ((length * 8) / 5 + 2) | 0;
}

/**
 * Decodes `buffer[start, end)` into `out`, from its beginning; it has room for `decodedBytes`.
 * @returns how many bytes that made; −1: it is no string of this code.
 */
export function decodeHuffman(
  buffer: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
): number {
  const table = (steps ??= makeSteps());
  let length = 0;
  let state = 0;
  for (let at = start; at < end; at++) {
    const step = table[(state << 8) | (buffer[at] as number)] as number;
    const count = (step >>> COUNT_SHIFT) & 3;
    if (count === IS_ERROR) return -1;
    out[length] = step >>> FIRST_SHIFT;
    out[length + 1] = step >>> SECOND_SHIFT;
    length += count;
    state = step & 0xff;
  }
  return MAY_END[state] === 1 ? length : -1;
}

/** How many bytes Latin-1 text takes in this code. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let index = 0; index < text.length; index++) {
    bits += CODE_LENGTHS[text.charCodeAt(index)] as number;
  }
  return (bits + 7) >>> 3;
}

/** Writes Latin-1 text at `at`, where there is room for `huffmanBytes`. @returns where it ends. */
export function encodeHuffman(text: string, out: Uint8Array, at: number): number {
  let position = at;
  let partial = 0;
  /** Bits of `partial` that are not taken. */
  let free = 8;
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index);
    let code = CODES[symbol] as number;
    let bits = CODE_LENGTHS[symbol] as number;
    while (bits >= free) {
      bits -= free;
      out[position++] = partial | (code >>> bits);
      code &= (1 << bits) - 1;
      partial = 0;
      free = 8;
    }
    free -= bits;
    partial |= code << free;
  }
  if (free < 8) out[position++] = partial | ((1 << free) - 1);
  return position;
}
