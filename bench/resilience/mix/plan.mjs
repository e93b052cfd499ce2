/**
 * What happens in one exchange, drawn from a seed and the number of the exchange. Clients and backends draw it each for themselves: so
 * they know of every byte what it has to be, and an exchange can be repeated by its number alone.
 */
import { createCipheriv } from 'node:crypto';

const KIB = 1024;
const LARGEST = 1024 * KIB;
const SPAN = 2 * LARGEST;
/** Exchanges that follow each other come from one kind of client, so that many of them share a connection. */
const GROUP = 40;
/** What a window of one byte, or one that is closed again and again, gets through in reasonable time. */
const LEAST_WINDOW_BYTES = 300;
const SMALL_WINDOW_BYTES = 20 * KIB;

/** Nothing in it repeats: a byte that is in the wrong place is a wrong byte. */
const POOL = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(
  Buffer.alloc(SPAN + LARGEST),
);

/** The numbers of one seed (mulberry32). */
export class Draw {
  #state;

  constructor(...seeds) {
    let state = 0x9e3779b9;
    for (const seed of seeds) state = Math.imul(state ^ seed, 0x85ebca6b) ^ (state >>> 13);
    this.#state = state;
  }

  /** @returns {number} in [0, 1) */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  /** @returns {boolean} true so often of 100 times */
  percent(often) {
    return this.next() * 100 < often;
  }

  /** @returns {number} from 0 to below `end` */
  below(end) {
    return Math.floor(this.next() * end);
  }

  of(choices) {
    return choices[this.below(choices.length)];
  }

  /** @param {Record<string, number>} shares */
  weighted(shares) {
    const names = Object.keys(shares);
    let rest = this.next() * names.reduce((sum, name) => sum + shares[name], 0);
    return names.find((name) => (rest -= shares[name]) < 0) ?? names[0];
  }
}

/** The bytes of a body. */
function bytesOf(start, length) {
  return POOL.subarray(start % SPAN, (start % SPAN) + length);
}

const CLIENTS = { h1: 28, h1s: 8, node: 20, nodes: 8, frames: 28, framess: 8 };
const BACKENDS = { http1: 30, node: 25, frames: 30, secure: 15 };

export const DEFAULT_WINDOW = 65_535;
/** Of each stream at first, by the profile of its connection. */
export const WINDOWS = {
  least: 1,
  small: 1000,
  default: DEFAULT_WINDOW,
  large: 1 << 20,
  changing: DEFAULT_WINDOW,
};
export const PROFILES = Object.keys(WINDOWS);
const METHODS = { GET: 45, POST: 25, PUT: 12, HEAD: 6, DELETE: 4, PATCH: 4, OPTIONS: 4 };
const STATUSES = { 200: 82, 201: 2, 204: 5, 304: 3, 404: 4, 500: 4 };
const PIECES = { whole: 50, odd: 40, trickle: 10 };
const MAY_REPEAT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);
const RESET_CODES = [1, 2, 5, 8, 11];

function drawLength(draw, most) {
  const kind = draw.weighted({ 0: 18, 1: 52, 2: 18, 3: 9, 4: 3 });
  const bound = [1, KIB, 16 * KIB, 128 * KIB, LARGEST][kind];
  return Math.min(draw.below(bound + (kind === '0' ? 0 : 1)), draw.below(most + 1));
}

function drawRequest(draw, method, start) {
  const hasBody = { GET: 3, DELETE: 30, HEAD: 0, OPTIONS: 10 }[method] ?? 90;
  const length = draw.percent(hasBody) ? drawLength(draw, LARGEST) : 0;
  const hasLength = length === 0 || draw.percent(60);
  return {
    bytes: bytesOf(start, length),
    length,
    hasLength,
    hasTrailers: !hasLength && draw.percent(35),
    pieces: draw.weighted(PIECES),
  };
}

function drawAnswer(draw, { method, backend, mostBytes, request, start }) {
  const status = Number(draw.weighted(STATUSES));
  const isBare = method === 'HEAD' || status === 204 || status === 304;
  const length = isBare ? 0 : drawLength(draw, mostBytes);
  const hasLength = !isBare && draw.percent(55);
  const isUntilClose = backend === 'http1' && !isBare && !hasLength && draw.percent(10);
  return {
    status,
    isBare,
    bytes: bytesOf(start, length),
    length,
    hasLength,
    isUntilClose,
    hasTrailers: !isBare && !hasLength && !isUntilClose && draw.percent(35),
    interim: draw.percent(12) ? 1 + draw.below(3) : 0,
    pieces: draw.weighted(PIECES),
    // Of the request: so many bytes have come.
    after:
      request.length === 0 || draw.percent(65) ? request.length : draw.below(request.length + 1),
    isEndOfConnection: draw.percent(3),
    isResetBehind: draw.percent(50),
    cookies: draw.percent(10) ? 1 + draw.below(3) : 0,
  };
}

/** How the client leaves. */
function drawLeaving(draw, request, answer) {
  if (!draw.percent(9)) return null;
  const when = draw.weighted({
    ms: 3,
    sent: request.length > 0 ? 3 : 0,
    received: answer.length > 0 ? 4 : 0,
  });
  const at = {
    ms: draw.below(20),
    sent: draw.below(request.length),
    received: draw.below(answer.length),
  }[when];
  return { when, at, how: draw.weighted({ reset: 80, end: 14, all: 6 }) };
}

/** How the backend fails. */
function drawFault(draw, backend, answer) {
  if (!draw.percent(9)) return null;
  const kind = draw.weighted({
    before: 30,
    during: answer.length > 0 ? 40 : 0,
    refuse: backend === 'http1' ? 0 : 12,
    kill: backend === 'http1' ? 0 : 2,
    goaway: backend === 'http1' ? 0 : 4,
    unseen: backend === 'frames' ? 8 : 0,
  });
  return {
    kind,
    at: draw.below(answer.length),
    isAtHead: draw.percent(40),
    times: draw.percent(70) ? 1 : 9,
    code: draw.of(RESET_CODES),
    isReset: draw.percent(50) || answer.isUntilClose,
  };
}

const MOST_BYTES = { least: LEAST_WINDOW_BYTES, small: SMALL_WINDOW_BYTES };

/**
 * @param {number} seed
 * @param {number} index
 */
export function drawPlan(seed, index) {
  const group = new Draw(seed, Math.floor(index / GROUP), 1);
  const client = group.weighted(CLIENTS);
  const profile = group.of(PROFILES);
  const draw = new Draw(seed, index, 2);
  const backend = draw.weighted(BACKENDS);
  const method = draw.weighted(METHODS);
  const isHttp2 = !client.startsWith('h1');
  const mostBytes = (isHttp2 ? MOST_BYTES[profile] : undefined) ?? LARGEST;
  const request = drawRequest(draw, method, index * 104_729 + 7);
  const about = { method, backend, mostBytes, request, start: index * 7919 + 13 };
  const answer = drawAnswer(draw, about);
  return {
    index,
    client,
    profile,
    backend,
    method,
    path: `/${backend}/${index}?${'q'.repeat(draw.below(60))}`,
    request,
    answer,
    leaving: drawLeaving(draw, request, answer),
    fault: drawFault(draw, backend, answer),
    mayRepeat: MAY_REPEAT.has(method),
    field: 'v'.repeat(draw.below(draw.percent(5) ? 3000 : 90)) + index,
    seed: draw.below(0x7fffffff),
  };
}

export const trailerOf = (index) => `end-${(index * 2_654_435_761) % 0xffffffff}`;

/** Cuts a body into pieces, each with the time before it. */
export function* piecesOf(bytes, pieces, draw) {
  if (bytes.length === 0) return;
  const count = { whole: 1, odd: 2 + draw.below(24), trickle: 2 + draw.below(5) }[pieces];
  let at = 0;
  for (let piece = 1; piece <= count && at < bytes.length; piece++) {
    const rest = bytes.length - at;
    const length =
      piece === count
        ? rest
        : Math.min(rest, 1 + draw.below(Math.ceil((2 * bytes.length) / count)));
    yield {
      bytes: bytes.subarray(at, at + length),
      waitMs: pieces === 'trickle' ? draw.below(8) : 0,
    };
    at += length;
  }
}

/** Compares what comes of a body with what has to come. */
export class Compared {
  length = 0;
  isWrong = false;
  #bytes;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  push(part) {
    const end = this.length + part.length;
    if (
      end > this.#bytes.length ||
      this.#bytes.compare(part, 0, part.length, this.length, end) !== 0
    ) {
      this.isWrong = true;
    }
    this.length = end;
  }

  get isWhole() {
    return !this.isWrong && this.length === this.#bytes.length;
  }
}
