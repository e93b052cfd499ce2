/** How a client begins (RFC 9113 §3.4). No HTTP/1.1 request begins so. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const PREFACE_NO = 0;
/** It may become one. */
export const PREFACE_PART = 1;
export const PREFACE_YES = 2;
export type PrefaceMatch = typeof PREFACE_NO | typeof PREFACE_PART | typeof PREFACE_YES;

/** Whether `buffer[start, end)` begins with the preface. Nothing at all may become one. */
export function matchPreface(buffer: Uint8Array, start: number, end: number): PrefaceMatch {
  const length = Math.min(end - start, PREFACE.length);
  for (let index = 0; index < length; index++) {
    if (buffer[start + index] !== PREFACE[index]) return PREFACE_NO;
  }
  return length === PREFACE.length ? PREFACE_YES : PREFACE_PART;
}
