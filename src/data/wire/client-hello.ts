/**
 * The host name that a client asks for in the first message of TLS: RFC 8446 §4.1.2, RFC 6066 §3. It is read before OpenSSL gets
 * the bytes, so that everything about the connection is settled by then: the certificate, and which sessions may be resumed.
 *
 * Nothing else is judged here. What can't be read has no name, and OpenSSL will say what is wrong with it.
 */

const RECORD_HANDSHAKE = 22;
const RECORD_HEAD_BYTES = 5;
const MESSAGE_HEAD_BYTES = 4;
const CLIENT_HELLO = 1;
const VERSION_AND_RANDOM_BYTES = 34;
const EXTENSION_SERVER_NAME = 0;
const NAME_TYPE_HOST = 0;
const MOST_NAME_BYTES = 255;
/** With the large key shares and tickets of today it has 2 to 6 KiB. */
const MOST_HELLO_BYTES = 32 * 1024;

/** @returns the name in lower case, '' for none; null: there is more to come before that can be said. */
export function readServerName(bytes: Buffer): string | null {
  const hello = joinRecords(bytes);
  if (hello === null) return bytes.length < MOST_HELLO_BYTES ? null : '';
  return nameIn(hello);
}

/** The message without its head. Null: it is not complete. Empty: there is none. */
function joinRecords(bytes: Buffer): Buffer | null {
  let message: Buffer | null = null;
  let position = 0;
  for (;;) {
    if (position >= bytes.length) return null;
    if (bytes[position] !== RECORD_HANDSHAKE) return Buffer.alloc(0);
    if (position + RECORD_HEAD_BYTES > bytes.length) return null;
    const start = position + RECORD_HEAD_BYTES;
    const end = start + bytes.readUInt16BE(position + 3);
    const fragment = bytes.subarray(start, Math.min(end, bytes.length));
    // One record, as a rule.
    message = message === null ? fragment : Buffer.concat([message, fragment]);
    if (message.length >= MESSAGE_HEAD_BYTES) {
      if (message[0] !== CLIENT_HELLO) return Buffer.alloc(0);
      const whole = MESSAGE_HEAD_BYTES + message.readUIntBE(1, 3);
      if (message.length >= whole) return message.subarray(MESSAGE_HEAD_BYTES, whole);
      if (whole > MOST_HELLO_BYTES) return Buffer.alloc(0);
    }
    if (end > bytes.length || end === start) return end === start ? Buffer.alloc(0) : null;
    position = end;
  }
}

function nameIn(hello: Buffer): string {
  // Session id, cipher suites, compression methods: each with its length before it.
  let at = VERSION_AND_RANDOM_BYTES;
  for (const lengthBytes of [1, 2, 1]) {
    if (at + lengthBytes > hello.length) return '';
    at += lengthBytes + hello.readUIntBE(at, lengthBytes);
  }
  if (at + 2 > hello.length) return '';
  const end = Math.min(hello.length, at + 2 + hello.readUInt16BE(at));
  at += 2;
  while (at + 4 <= end) {
    const type = hello.readUInt16BE(at);
    const length = hello.readUInt16BE(at + 2);
    at += 4;
    if (type === EXTENSION_SERVER_NAME)
      return at + length <= end ? hostName(hello, at, length) : '';
    at += length;
  }
  return '';
}

/** Of its list: there is one entry, and it is a host name. */
function hostName(hello: Buffer, start: number, length: number): string {
  if (length < 5 || hello[start + 2] !== NAME_TYPE_HOST) return '';
  const nameLength = hello.readUInt16BE(start + 3);
  if (nameLength > MOST_NAME_BYTES || nameLength + 5 > length) return '';
  const name = hello.latin1Slice(start + 5, start + 5 + nameLength).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
