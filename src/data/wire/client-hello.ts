/**
 * The host name that a client asks for in the first message of TLS: RFC 8446 §4.1.2, RFC 6066 §3. It is read before OpenSSL gets
 * the bytes, so that everything about the connection is settled by then: the certificate, and which sessions may be resumed.
 *
 * Nothing else is judged here but its size. What can't be read has no name, and OpenSSL will say what is wrong with it.
 */

const RECORD_HANDSHAKE = 22;
const RECORD_HEAD_BYTES = 5;
const MESSAGE_HEAD_BYTES = 4;
const CLIENT_HELLO = 1;
const VERSION_AND_RANDOM_BYTES = 34;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_PROTOCOLS = 16;
/** RFC 8737 §3: the list of ALPN with `acme-tls/1` and nothing else. */
const ONLY_ACME = Buffer.from('\0\x0b\x0aacme-tls/1', 'latin1');
const NAME_TYPE_HOST = 0;
const MOST_NAME_BYTES = 255;
/** With the large key shares and tickets of today it has 2 to 6 KiB. */
const MOST_HELLO_BYTES = 32 * 1024;
/** Honest clients send it in one, and at most a handful. */
const MOST_RECORDS = 32;
const NOTHING = Buffer.alloc(0);

/** `unfit`: it is longer, or in more records, than any honest one. */
export type HelloState = 'begun' | 'read' | 'unfit';

/** A first message, read as it comes. Each of its bytes is looked at once, however it is cut up. */
export class ClientHello {
  state: HelloState = 'begun';
  /** In lower case; '' for none. */
  name = '';
  /** A certificate authority asks whether the name leads here: TLS-ALPN-01. */
  isValidation = false;
  /** All that has come, of which the part up to `#position` has been judged. */
  readonly #raw = new Pieces();
  #position = 0;
  /** Where the last piece began. */
  #lastStart = 0;
  /** What records were about it, taken off. Empty while it has come in one piece. */
  readonly #message = new Pieces();
  #records = 0;
  /** Of the current record, still to come. */
  #left = 0;

  /** All that was read of the connection; until the next read it may be what was given then. */
  get bytes(): Buffer {
    return this.#raw.all;
  }

  /** The same without what was read last. */
  get bytesBefore(): Buffer {
    return this.#raw.all.subarray(0, this.#lastStart);
  }

  /** @param bytes borrowed: copied if there is more to come. */
  read(bytes: Buffer): void {
    this.#lastStart = this.#raw.length;
    if (this.#lastStart === 0) this.#raw.borrow(bytes);
    else this.#raw.add(bytes);
    this.#judge();
    if (this.state !== 'begun') return;
    if (this.#raw.length >= MOST_HELLO_BYTES) this.state = 'unfit';
    else this.#raw.own();
  }

  #judge(): void {
    const { all } = this.#raw;
    while (this.state === 'begun' && this.#position < all.length) {
      if (this.#left === 0 && !this.#enterRecord(all)) return;
      const end = Math.min(all.length, this.#position + this.#left);
      if (end > this.#position) this.#take(all.subarray(this.#position, end));
      this.#left -= end - this.#position;
      this.#position = end;
    }
  }

  /** @returns false: its head is not complete, or all is said. */
  #enterRecord(all: Buffer): boolean {
    const at = this.#position;
    if (all[at] !== RECORD_HANDSHAKE) {
      this.state = 'read';
      return false;
    }
    if (at + RECORD_HEAD_BYTES > all.length) return false;
    this.#left = all.readUInt16BE(at + 3);
    this.#position = at + RECORD_HEAD_BYTES;
    this.#records++;
    if (this.#left === 0) this.state = 'read';
    else if (this.#records > MOST_RECORDS) this.state = 'unfit';
    return this.state === 'begun';
  }

  #take(fragment: Buffer): void {
    const isFirst = this.#message.length === 0;
    if (!isFirst) this.#message.add(fragment);
    const message = isFirst ? fragment : this.#message.all;
    if (message.length >= MESSAGE_HEAD_BYTES) {
      const whole = MESSAGE_HEAD_BYTES + message.readUIntBE(1, 3);
      if (message[0] !== CLIENT_HELLO) {
        this.state = 'read';
        return;
      }
      if (whole > MOST_HELLO_BYTES) {
        this.state = 'unfit';
        return;
      }
      if (message.length >= whole) {
        this.#readExtensions(message.subarray(MESSAGE_HEAD_BYTES, whole));
        this.state = 'read';
        return;
      }
    }
    if (isFirst) this.#message.add(fragment);
  }

  #readExtensions(hello: Buffer): void {
    // Session id, cipher suites, compression methods: each with its length before it.
    let at = VERSION_AND_RANDOM_BYTES;
    for (const lengthBytes of [1, 2, 1]) {
      if (at + lengthBytes > hello.length) return;
      at += lengthBytes + hello.readUIntBE(at, lengthBytes);
    }
    if (at + 2 > hello.length) return;
    const end = Math.min(hello.length, at + 2 + hello.readUInt16BE(at));
    at += 2;
    let hasName = false;
    while (at + 4 <= end) {
      const type = hello.readUInt16BE(at);
      const length = hello.readUInt16BE(at + 2);
      at += 4;
      if (at + length > end) return;
      if (type === EXTENSION_SERVER_NAME && !hasName) {
        hasName = true;
        this.name = hostName(hello, at, length);
      } else if (type === EXTENSION_PROTOCOLS) {
        this.isValidation = ONLY_ACME.compare(hello, at, at + length) === 0;
      }
      at += length;
    }
  }
}

/** Bytes in a row, with room for more: what is added is copied once or twice, however many pieces it comes in. */
class Pieces {
  #room: Buffer = NOTHING;
  length = 0;

  get all(): Buffer {
    return this.#room.subarray(0, this.length);
  }

  /** Without a copy, until `own`. */
  borrow(bytes: Buffer): void {
    this.#room = bytes;
    this.length = bytes.length;
  }

  own(): void {
    if (this.#room.length === this.length) this.#grow(this.length);
  }

  add(bytes: Buffer): void {
    const length = this.length + bytes.length;
    if (length > this.#room.length) this.#grow(length);
    bytes.copy(this.#room, this.length);
    this.length = length;
  }

  #grow(length: number): void {
    const room = Buffer.allocUnsafe(Math.max(1024, 2 * length));
    this.#room.copy(room, 0, 0, this.length);
    this.#room = room;
  }
}

/** Of its list: there is one entry, and it is a host name. */
function hostName(hello: Buffer, start: number, length: number): string {
  if (length < 5 || hello[start + 2] !== NAME_TYPE_HOST) return '';
  const nameLength = hello.readUInt16BE(start + 3);
  if (nameLength > MOST_NAME_BYTES || nameLength + 5 > length) return '';
  const name = hello.latin1Slice(start + 5, start + 5 + nameLength).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
