/**
 * The answer to a health check, as far as a check reads it: the status, and where it ends. What a backend may send before it
 * comes to the point is bounded in bytes, and so is the work on it: nothing is parsed that the verdict does not need.
 */
import { BodySearch } from './body-search.ts';

const MAX_HEAD_BYTES = 32 * 1024;
/** Interim answers (RFC 9110 §15.2) before the one that counts. */
const MAX_INTERIM = 16;
const HEAD_END = '\r\n\r\n';
const SWITCHING_PROTOCOLS = 101;
const START = 'HTTP/1.';
const STATUS_LINE = /^HTTP\/1\.\d ([1-9]\d\d)(?: [^\r\n]*)?\r\n/;
const FIELD_LINES = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n)*$/;
const LAST_CHUNK = `0${HEAD_END}`;

export class HealthAnswer {
  /** Of the final answer, or 101; undefined until its whole head has come. */
  status: number | undefined;
  /** Why this is no answer. */
  fault: string | undefined;
  /** Nothing more will come, as far as we can tell. */
  isComplete = false;
  #text = '';
  #interim = 0;
  /** Of the body; Infinity: until the connection ends. */
  #missingBytes = Number.POSITIVE_INFINITY;
  #isChunked = false;
  #tail = '';
  readonly #isLenient: boolean;
  readonly #wanted: string;
  #search: BodySearch | undefined;

  /**
   * @param isLenient whether a line may end with LF alone.
   * @param wanted a text that is looked for in the body; empty: none.
   */
  constructor(isLenient: boolean, wanted = '') {
    this.#isLenient = isLenient;
    this.#wanted = wanted;
  }

  /** The body holds what is looked for, as far as it has come. */
  get hasText(): boolean {
    return this.#wanted === '' || this.#search?.isFound === true;
  }

  receive(bytes: Buffer): void {
    if (this.fault !== undefined) return;
    if (this.status !== undefined) {
      const from = this.#search === undefined ? Math.max(0, bytes.length - LAST_CHUNK.length) : 0;
      this.#takeBody(bytes.toString('latin1', from), bytes.length);
      return;
    }
    this.#text += bytes.toString('latin1');
    if (this.#isLenient) this.#text = this.#text.replace(/\r?\n/g, '\r\n');
    this.#takeHeads();
  }

  #takeHeads(): void {
    let start = 0;
    while (this.status === undefined && this.fault === undefined) {
      const end = this.#text.indexOf(HEAD_END, start);
      const head = this.#text.slice(start, end === -1 ? undefined : end + HEAD_END.length - 2);
      if (!isStart(head)) this.fault = 'not an HTTP answer';
      else if (head.length > MAX_HEAD_BYTES) this.fault = 'an answer with too large a head';
      if (end === -1 || this.fault !== undefined) break;
      start = end + HEAD_END.length;
      this.#takeHead(head);
    }
    const rest = this.#text.slice(start);
    this.#text = this.status === undefined ? rest : '';
    if (this.status !== undefined) this.#takeBody(rest, rest.length);
  }

  #takeHead(head: string): void {
    const line = STATUS_LINE.exec(head);
    if (line === null) {
      this.fault = 'not an HTTP answer (its status line is malformed)';
      return;
    }
    const fields = head.slice(line[0].length);
    if (!FIELD_LINES.test(fields)) {
      this.fault = 'not an HTTP answer (a header field is malformed)';
      return;
    }
    const status = Number(line[1]);
    if (status < 200 && status !== SWITCHING_PROTOCOLS) {
      if (++this.#interim > MAX_INTERIM) this.fault = 'nothing but interim answers';
      return;
    }
    this.status = status;
    this.#isChunked = /^transfer-encoding:.*chunked[ \t]*\r$/im.test(fields);
    const length = /^content-length:[ \t]*(\d+)[ \t]*\r$/im.exec(fields);
    if (status < 200 || status === 204 || status === 304) this.#missingBytes = 0;
    else if (length !== null && !this.#isChunked) this.#missingBytes = Number(length[1]);
    if (this.#wanted !== '') this.#search = new BodySearch(this.#wanted, this.#isChunked);
  }

  /** @param text at least the end of it; all of it where something is looked for. */
  #takeBody(text: string, length: number): void {
    this.#search?.receive(text);
    this.fault ??= this.#search?.fault;
    this.#missingBytes -= length;
    this.#tail = (this.#tail + text).slice(-LAST_CHUNK.length);
    const isLast = this.#tail === LAST_CHUNK || this.#search?.isOver === true;
    this.isComplete = this.#missingBytes <= 0 || (this.#isChunked && isLast);
  }
}

function isStart(head: string): boolean {
  return head.length < START.length ? START.startsWith(head) : head.startsWith(START);
}
