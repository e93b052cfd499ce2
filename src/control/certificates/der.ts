/**
 * As much of DER (ITU-T X.690) as certificates and OCSP are made of. What is written is what the caller says; what is read comes from
 * outside, so lengths are checked, and anything that is not as it should be throws.
 */

const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const ENUMERATED = 0x0a;
export const GENERALIZED_TIME = 0x18;
export const SEQUENCE = 0x30;

const NULL = 0x05;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const SET = 0x31;
const CONTEXT = 0x80;
const CONSTRUCTED = 0x20;
const MOST_LENGTH_BYTES = 3;

// ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const digits = Buffer.from(
    length.toString(16).padStart(length > 0xffff ? 6 : length > 0xff ? 4 : 2, '0'),
    'hex',
  );
  return Buffer.concat([Buffer.from([tag, 0x80 | digits.length]), digits, content]);
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(SEQUENCE, ...parts);
}

export function setOf(...parts: readonly Uint8Array[]): Buffer {
  return der(SET, ...parts);
}

/** `[number]`, explicit or implicit; primitive: with bytes of a value in it, and no other values. */
export function context(number: number, content: Uint8Array, isPrimitive = false): Buffer {
  return der(contextTag(number, isPrimitive), content);
}

export function contextTag(number: number, isPrimitive = false): number {
  return CONTEXT | (isPrimitive ? 0 : CONSTRUCTED) | number;
}

/** Of bytes that are taken for a number that is not negative. */
export function integer(bytes: Uint8Array): Buffer {
  const isNegative = ((bytes[0] ?? 0) & 0x80) !== 0;
  return der(INTEGER, isNegative ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  const bytes = [40 * first + second];
  for (const one of others) {
    const digits = [one & 0x7f];
    for (let rest = one >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return der(OBJECT_IDENTIFIER, Buffer.from(bytes));
}

export function nothing(): Buffer {
  return der(NULL);
}

export function truth(): Buffer {
  return der(BOOLEAN, Buffer.from([0xff]));
}

export function utf8(text: string): Buffer {
  return der(UTF8_STRING, Buffer.from(text));
}

export function octets(bytes: Uint8Array): Buffer {
  return der(OCTET_STRING, bytes);
}

export function bits(bytes: Uint8Array, unused = 0): Buffer {
  return der(BIT_STRING, Buffer.from([unused]), bytes);
}

/** RFC 5280 §4.1.2.5: UTCTime until 2049. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  const isShort = digits < '2050';
  return der(
    isShort ? UTC_TIME : GENERALIZED_TIME,
    Buffer.from(isShort ? digits.slice(2) : digits),
  );
}

// ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag and length too. */
  readonly whole: Buffer;
}

/** The values in `bytes`, one after the other to the end. */
export function readAll(bytes: Buffer): DerValue[] {
  const values: DerValue[] = [];
  for (let position = 0; position < bytes.length; ) {
    const value = readAt(bytes, position);
    values.push(value);
    position += value.whole.length;
  }
  return values;
}

/** The one value that `bytes` are. */
export function readOne(bytes: Buffer, tag: number): DerValue {
  const [value, ...others] = readAll(bytes);
  return expectTag(others.length === 0 ? value : undefined, tag);
}

export function expectTag(value: DerValue | undefined, tag: number): DerValue {
  if (value?.tag !== tag) throw new Error(`no value with the tag ${tag} where there should be one`);
  return value;
}

function readAt(bytes: Buffer, position: number): DerValue {
  const tag = bytes[position];
  const first = bytes[position + 1];
  if (tag === undefined || first === undefined) throw new Error('cut off');
  let start = position + 2;
  let length = first;
  if (first >= 0x80) {
    const digits = first & 0x7f;
    if (digits === 0 || digits > MOST_LENGTH_BYTES || start + digits > bytes.length) {
      throw new Error('a length that can not be');
    }
    length = bytes.readUIntBE(start, digits);
    start += digits;
  }
  const end = start + length;
  if (end > bytes.length) throw new Error('cut off');
  return { tag, content: bytes.subarray(start, end), whole: bytes.subarray(position, end) };
}
