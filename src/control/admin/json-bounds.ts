/**
 * What a JSON body may cost before anybody has looked at it: how deep it is, and of how many values it consists. Parsing a
 * mebibyte of empty arrays, and looking for keys that are there twice, takes half a second, and this thread has other things to
 * do. One look at the bytes tells it beforehand.
 */

/** No call takes more than three levels. */
const DEEPEST = 32;
/** A question about a request has the most, with a thousand header fields. */
const MOST_VALUES = 8_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/** Whether it is JSON is for the parser to say. @returns what is too much of it; undefined: nothing */
export function excessOf(json: Uint8Array): string | undefined {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0;
    if (byte === QUOTE) {
      at = endOfString(json, at);
    } else if (OPENING.has(byte)) {
      values++;
      if (++depth > DEEPEST) return `It is nested more than ${DEEPEST} levels deep.`;
    } else if (CLOSING.has(byte)) {
      depth--;
    } else if (byte === COMMA) {
      values++;
    }
    if (values > MOST_VALUES) return `It has more than ${MOST_VALUES} values.`;
  }
  return undefined;
}

/** @param start of the quote that begins it. @returns where the one is that ends it; the end of the text if none does */
function endOfString(json: Uint8Array, start: number): number {
  for (let end = json.indexOf(QUOTE, start + 1); end !== -1; end = json.indexOf(QUOTE, end + 1)) {
    let backslashes = 0;
    while (json[end - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return json.length;
}
