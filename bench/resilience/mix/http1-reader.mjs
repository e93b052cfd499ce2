/** HTTP/1.1 messages, one after the other on a connection, as far as Fairlead sends them: strict, so that what is malformed throws. */
const CRLF = '\r\n';
const HEAD_END = '\r\n\r\n';

/** Fields with names in lower case; those that are there twice are joined by a line feed. */
function readFields(lines) {
  const fields = new Map();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`no field: ${line}`);
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
  }
  return fields;
}

/**
 * @typedef {object} Handler
 * @property {(first: string, fields: Map<string, string>) => 'body' | 'none'} onHead whether a body may follow
 * @property {(bytes: Buffer) => void} onData
 * @property {(trailers: Map<string, string>) => void} onEnd
 */
export class Http1Reader {
  #rest = Buffer.alloc(0);
  #left = 0;
  #handler;
  #step = this.#head;

  /** @param {Handler} handler */
  constructor(handler) {
    this.#handler = handler;
  }

  /** Between two messages. */
  get isAtRest() {
    return this.#step === this.#head && this.#rest.length === 0;
  }

  push(bytes) {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length > 0 && this.#step());
  }

  #take(length) {
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }

  #line() {
    const end = this.#rest.indexOf(CRLF);
    if (end < 0) return null;
    const line = this.#take(end + 2);
    return line.latin1Slice(0, end);
  }

  #head() {
    const end = this.#rest.indexOf(HEAD_END);
    if (end < 0) return false;
    const [first, ...lines] = this.#take(end + 4)
      .latin1Slice(0, end)
      .split(CRLF);
    const fields = readFields(lines);
    if (this.#handler.onHead(first, fields) === 'none') return true;
    const isChunked = fields.get('transfer-encoding') === 'chunked';
    const length = fields.get('content-length');
    if (isChunked) this.#step = this.#chunkHead;
    else if (length !== undefined && Number(length) > 0) {
      this.#left = Number(length);
      this.#step = this.#body;
    } else this.#end(new Map());
    return true;
  }

  #body() {
    const part = this.#take(Math.min(this.#left, this.#rest.length));
    this.#left -= part.length;
    this.#handler.onData(part);
    if (this.#left === 0) this.#end(new Map());
    return true;
  }

  #chunkHead() {
    const line = this.#line();
    if (line === null) return false;
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`no chunk: ${line}`);
    this.#left = Number.parseInt(line, 16);
    this.#step = this.#left === 0 ? this.#trailers : this.#chunk;
    return true;
  }

  #chunk() {
    const part = this.#take(Math.min(this.#left, this.#rest.length));
    this.#left -= part.length;
    this.#handler.onData(part);
    if (this.#left === 0) this.#step = this.#chunkEnd;
    return true;
  }

  #chunkEnd() {
    if (this.#rest.length < 2) return false;
    if (this.#take(2).latin1Slice() !== CRLF) throw new Error('a chunk without an end');
    this.#step = this.#chunkHead;
    return true;
  }

  #trailers() {
    if (this.#rest.length < 2) return false;
    if (this.#rest[0] === 13) {
      this.#take(2);
      this.#end(new Map());
      return true;
    }
    const end = this.#rest.indexOf(HEAD_END);
    if (end < 0) return false;
    this.#end(
      readFields(
        this.#take(end + 4)
          .latin1Slice(0, end)
          .split(CRLF),
      ),
    );
    return true;
  }

  #end(trailers) {
    this.#step = this.#head;
    this.#handler.onEnd(trailers);
  }
}

/** A head. @param {readonly (readonly [name: string, value: string])[]} fields */
export function head(first, fields) {
  return `${first}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** @param {Buffer} bytes not empty */
export function chunk(bytes) {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from(CRLF)]);
}

export function lastChunk(trailers) {
  return `0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}
