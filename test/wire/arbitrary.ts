/** Generators of heads and bodies: good ones, and good ones with a few bytes changed. Text is Latin-1. */
import fc from 'fast-check';
import { latin1 } from './parse.ts';

const TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const VISIBLE = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index));
const OBS_TEXT = Array.from({ length: 128 }, (_, index) => String.fromCharCode(0x80 + index));

function textOf(characters: readonly string[], minLength: number, maxLength: number) {
  return fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });
}

/** Names that the layer knows or should know, and any other. */
const fieldName = fc.oneof(
  textOf([...TOKEN], 1, 20),
  fc.constantFrom(
    'Host',
    'Connection',
    'Content-Length',
    'Transfer-Encoding',
    'TE',
    'Trailer',
    'Upgrade',
    'Expect',
    'Via',
    'X-Forwarded-For',
    'X_Forwarded_For',
    'X-Forwarded-User',
    'X-Request-Id',
    'Set-Cookie',
    '__proto__',
    'constructor',
    'Keep-Alive',
    'Max-Forwards',
  ),
);

/** A value without white space around it, as a parser shows it. */
const fieldValue = textOf([...VISIBLE, ...OBS_TEXT, ' ', '\t'], 0, 30).map((text) =>
  text.replaceAll(/^[ \t]+|[ \t]+$/g, ''),
);

const whiteSpace = fc.constantFrom('', ' ', '  ', '\t', ' \t');

/** A field line without its end, and what it must be read as. */
const fieldLine = fc
  .tuple(fieldName, whiteSpace, fieldValue, whiteSpace)
  .map(([name, before, value, after]) => ({
    name,
    value,
    text: `${name}:${before}${value}${after}`,
  }));

const fieldLines = fc.array(fieldLine, { maxLength: 8 });

export const target = fc.oneof(
  textOf(
    VISIBLE.filter((character) => character !== '#'),
    0,
    20,
  ).map((text) => `/${text}`),
  fc.constantFrom('*', 'http://a', 'http://a:80/b?c', 'HTTPS://[::1]:1/', 'a:80', 'ftp://a/'),
);

const method = fc.oneof(
  fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND'),
  textOf([...TOKEN], 1, 32),
);

/** A head that the parser must take as it is; `line` without its end. */
export const requestHead = fc
  .record({
    emptyLine: fc.constantFrom('', '', '\r\n'),
    method,
    target,
    minor: fc.constantFrom(0, 1),
    fields: fieldLines,
  })
  .map((parts) => ({
    ...parts,
    text: `${parts.emptyLine}${parts.method} ${parts.target} HTTP/1.${parts.minor}\r\n${linesOf(parts.fields)}\r\n`,
  }));

export const responseHead = fc
  .record({
    minor: fc.constantFrom(0, 1),
    status: fc.integer({ min: 100, max: 999 }),
    reason: fc.option(textOf([...VISIBLE, ...OBS_TEXT, ' ', '\t'], 0, 20), { nil: undefined }),
    fields: fieldLines,
  })
  .map((parts) => ({
    ...parts,
    text: `HTTP/1.${parts.minor} ${parts.status}${parts.reason === undefined ? '' : ` ${parts.reason}`}\r\n${linesOf(parts.fields)}\r\n`,
  }));

export const trailerSection = fieldLines.map((fields) => ({
  fields,
  text: `${linesOf(fields)}\r\n`,
}));

function linesOf(fields: readonly { readonly text: string }[]): string {
  return fields.map(({ text }) => `${text}\r\n`).join('');
}

const extension = fc.constantFrom('', '', '', ';a', ';a=b', ';a="b c" ; d', ';');

/** A payload, and one of the many ways to send it in chunks. */
export const chunkedBody = fc
  .record({
    chunks: fc.array(
      fc.tuple(
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        extension,
        fc.nat({ max: 3 }),
        fc.boolean(),
      ),
      { maxLength: 6 },
    ),
    last: fc.tuple(fc.constantFrom('0', '00', '0000'), extension),
    trailer: trailerSection,
  })
  .map(({ chunks, last, trailer }) => {
    const parts = chunks.map(([data, ext, zeros, isUpper]) => {
      const size = `${'0'.repeat(zeros)}${data.length.toString(16)}`;
      const payload = Buffer.from(data).toString('latin1');
      return { payload, text: `${isUpper ? size.toUpperCase() : size}${ext}\r\n${payload}\r\n` };
    });
    return {
      payload: parts.map(({ payload }) => payload).join(''),
      trailer,
      text: `${parts.map(({ text }) => text).join('')}${last.join('')}\r\n${trailer.text}`,
    };
  });

/** Bytes that decide something, more often than others. */
const anyByte = fc.oneof(
  fc.constantFrom(...latin1('\r\n\0 \t:;,/*#"0129aAfFx_-+.\x7f\x80\xff\x0b')),
  fc.nat({ max: 255 }),
);

const change = fc.record({
  kind: fc.constantFrom('replace', 'insert', 'remove', 'cut', 'repeat'),
  at: fc.nat(),
  byte: anyByte,
  length: fc.integer({ min: 1, max: 8 }),
});

export const randomBytes = fc.oneof(
  fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
  fc.array(anyByte, { maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
);

/** The same text with one to three places changed. */
export function mutated(texts: fc.Arbitrary<{ readonly text: string }>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(texts, fc.array(change, { minLength: 1, maxLength: 3 }))
    .map(([{ text }, changes]) => {
      let bytes = latin1(text);
      for (const { kind, at, byte, length } of changes) {
        const start = bytes.length === 0 ? 0 : at % bytes.length;
        const before = bytes.subarray(0, start);
        if (kind === 'cut') bytes = before;
        else if (kind === 'remove') bytes = Buffer.concat([before, bytes.subarray(start + length)]);
        else if (kind === 'repeat') {
          bytes = Buffer.concat([bytes.subarray(0, start + length), bytes.subarray(start)]);
        } else {
          const rest = bytes.subarray(kind === 'insert' ? start : start + 1);
          bytes = Buffer.concat([before, Buffer.of(byte), rest]);
        }
      }
      return bytes;
    });
}
