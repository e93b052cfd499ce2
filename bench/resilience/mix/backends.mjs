/**
 * The backends of the mix, in a process of their own: HTTP/1.1, HTTP/2 of Node in the clear and over TLS, and HTTP/2 frame by frame, two
 * of each. Started by place.mjs:
 *
 *   node backends.mjs SEED CERTIFICATE KEY
 *
 * A message `{ number }` is answered with `{ number, ports, attempts, ends, violations }`: what they have seen of each exchange, by its
 * index, when connections were ended to which more than one exchange may have belonged, and the rules that were broken.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { chunk, Http1Reader, head, lastChunk } from './http1-reader.mjs';
import { Http2Peer } from './http2-peer.mjs';
import { Draw, drawPlan, PROFILES } from './plan.mjs';
import { Attempt, answerTo } from './play.mjs';
import { giveUp, HAS_SOUND_HTTP2, written } from './sending.mjs';

const [seedText, certificate, key] = process.argv.slice(2);
const seed = Number(seedText);
const { NGHTTP2_REFUSED_STREAM } = http2.constants;

/** @type {Map<number, Attempt[]>} */
const attempts = new Map();
/** When connections ended for one exchange, with others on them. */
const ends = { http1: [], node: [], frames: [], secure: [] };
const peers = [];
const violations = [];

/** @returns {Attempt} */
function begin(method, path, fields) {
  const index = Number(/^\/\w+\/(\d+)/.exec(path)?.[1]);
  const before = attempts.get(index) ?? [];
  const attempt = new Attempt(drawPlan(seed, index), before.length);
  attempts.set(index, [...before, attempt]);
  if (attempt.plan.path !== path) violations.push(`a path that is another: ${path}`);
  attempt.onHead(method, fields);
  return attempt;
}

/** What is said to have been sent may be on its way for so long. */
const SENDING_MS = 10_000;

/** The exchanges of one connection. */
class Together {
  /** Each with the time when it was over. */
  #all = new Map();

  add(attempt) {
    this.#all.set(attempt, Number.POSITIVE_INFINITY);
  }

  over(attempt) {
    this.#all.set(attempt, Date.now());
    if (this.#all.size % 100 === 0) this.#forget();
  }

  #forget() {
    const since = Date.now() - SENDING_MS;
    for (const [attempt, overMs] of this.#all) if (overMs < since) this.#all.delete(attempt);
  }

  /** The connection ends for the sake of one of them. */
  end(backend) {
    ends[backend].push(Date.now());
    this.#forget();
    for (const attempt of this.#all.keys())
      if (attempt.failed === '') attempt.failed = 'collateral';
  }
}

// ── HTTP/1.1 ────────────────────────────────────────────────────────────────────────────────────────────────────────

function serveHttp1(socket) {
  let attempt = null;
  let isAnswered = false;
  const reader = new Http1Reader({
    onHead: (first, fields) => {
      const [method, path] = first.split(' ');
      attempt = begin(method, path, fields);
      isAnswered = false;
      void answerTo(attempt, http1Out(socket, attempt));
      return 'body';
    },
    onData: (bytes) => attempt.onData(bytes),
    onEnd: (trailers) => attempt.onEnd(trailers),
  });
  socket.on('data', (bytes) => {
    try {
      reader.push(bytes);
    } catch (error) {
      violations.push(`to a backend of HTTP/1.1: ${error.message}`);
      socket.destroy();
    }
  });
  socket.on('error', () => {});
  for (const event of ['end', 'close']) {
    socket.on(event, () => {
      attempt?.onBroken();
      if (!isAnswered) socket.destroy();
    });
  }
}

function http1Out(socket, attempt) {
  const { plan } = attempt;
  const { hasLength, isUntilClose, isEndOfConnection } = plan.answer;
  const isChunked = !hasLength && !isUntilClose;
  return {
    interim: (index) =>
      void socket.write(head('HTTP/1.1 103 Early Hints', [['x-early', String(index)]])),
    head(answer, fields, isAllHead) {
      const framing = answer.isBare || !isChunked ? [] : [['transfer-encoding', 'chunked']];
      if (isAllHead && framing.length > 0) framing[0] = ['content-length', '0'];
      if (isUntilClose || isEndOfConnection) framing.push(['connection', 'close']);
      socket.write(head(`HTTP/1.1 ${answer.status} Text`, [...fields, ...framing]), 'latin1');
    },
    write: (bytes) => written(socket, isChunked ? chunk(bytes) : bytes),
    end: (_, trailers) => {
      if (isChunked) socket.write(lastChunk(trailers), 'latin1');
    },
    done: () => {
      if (isUntilClose || isEndOfConnection) socket.end();
    },
    fail: ({ isReset }) => {
      if (isReset) socket.resetAndDestroy();
      else socket.end();
    },
    goAway() {},
  };
}

// ── HTTP/2 of Node ──────────────────────────────────────────────────────────────────────────────────────────────────

const mapOf = (object) =>
  new Map(Object.entries(object).map(([name, value]) => [name, String(value)]));

function serveNode(backend, server) {
  server.on('session', (session) => {
    session.together = new Together();
    session.on('error', () => {});
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream, fields) => {
    // Its connection has ended meanwhile.
    if (stream.session === undefined) return;
    const { together } = stream.session;
    const attempt = begin(fields[':method'], fields[':path'], mapOf(fields));
    together.add(attempt);
    stream.on('data', (bytes) => attempt.onData(bytes));
    let trailers = new Map();
    stream.on('trailers', (received) => {
      trailers = mapOf(received);
    });
    stream.on('end', () => {
      if (!stream.aborted && !stream.destroyed) attempt.onEnd(trailers);
    });
    stream.on('error', () => {});
    stream.on('close', () => {
      together.over(attempt);
      attempt.onBroken();
    });
    void answerTo(attempt, nodeOut(backend, stream, attempt));
  });
  return server;
}

function nodeOut(backend, stream) {
  let behind = [];
  const { session } = stream;
  return {
    interim: (index) => {
      if (!stream.destroyed) stream.additionalHeaders({ ':status': 103, 'x-early': String(index) });
    },
    head(answer, fields, isAllHead) {
      if (stream.destroyed || stream.headersSent) return;
      const received = { ':status': answer.status };
      for (const [name, value] of fields) {
        if (name === 'set-cookie') received[name] = [...(received[name] ?? []), value];
        else received[name] = value;
      }
      stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(behind)));
      stream.respond(received, { endStream: isAllHead, waitForTrailers: answer.hasTrailers });
    },
    write: (bytes) => written(stream, bytes),
    end(_, trailers) {
      behind = trailers;
      if (!stream.destroyed) stream.end();
    },
    done() {},
    fail({ kind, code }) {
      if (kind === 'kill') {
        if (session === undefined) return;
        // Not while its frames are being read: Node 20 does not survive that.
        setImmediate(() => {
          session.together.end(backend);
          session.destroy();
        });
      } else if (kind === 'during') giveUp(stream);
      else stream.close(kind === 'refuse' ? NGHTTP2_REFUSED_STREAM : code);
    },
    goAway() {
      ends[backend].push(Date.now());
      if (session !== undefined && !session.closed) session.close();
    },
  };
}

// ── HTTP/2 frame by frame ───────────────────────────────────────────────────────────────────────────────────────────

let connections = 0;

function serveFrames(backend, socket) {
  const draw = new Draw(seed, ++connections, 7);
  const together = new Together();
  const peer = new Http2Peer(socket, {
    isServer: true,
    profile: draw.of(PROFILES),
    draw,
    handler: {
      begins(stream, fields, isEnd, isUnseen) {
        const attempt = begin(fields.get(':method'), fields.get(':path'), fields);
        if (isUnseen) {
          attempt.failed = 'unseen';
          stream.over();
          return;
        }
        together.add(attempt);
        const gone = () => {
          together.over(attempt);
          attempt.onBroken();
        };
        stream.handler = {
          data: (bytes) => attempt.onData(bytes),
          head: (trailers) => attempt.onEnd(trailers),
          end: (trailers) => attempt.onEnd(trailers),
          broken: gone,
          unseen() {
            attempt.failed = 'unseen';
            gone();
          },
        };
        if (isEnd) attempt.onEnd(new Map());
        void answerTo(
          attempt,
          framesOut(peer, stream, { backend, together, over: () => together.over(attempt) }),
        );
      },
    },
  });
  peers.push(peer);
}

function framesOut(peer, stream, { backend, together, over }) {
  return {
    interim: (index) => {
      if (!stream.isOver)
        peer.sendHead(
          stream.id,
          [
            [':status', '103'],
            ['x-early', String(index)],
          ],
          false,
        );
    },
    head(answer, fields, isAllHead) {
      if (stream.isOver) return;
      peer.sendHead(stream.id, [[':status', String(answer.status)], ...fields], isAllHead);
      if (!isAllHead) return;
      stream.hasEnded = true;
      if (stream.hasRemoteEnded) stream.over();
    },
    write: (bytes) => stream.write(bytes),
    end: (_, trailers) => stream.end(trailers),
    done(answer) {
      over();
      if (answer.isResetBehind && !stream.hasRemoteEnded) stream.reset(0);
    },
    fail({ kind, code }) {
      if (kind === 'kill') {
        together.end(backend);
        peer.kill();
      } else if (kind === 'unseen') {
        ends[backend].push(Date.now());
        peer.goAway(Math.max(0, stream.id - 2));
      } else {
        over();
        stream.reset(kind === 'refuse' ? 7 : code);
      }
    },
    goAway() {
      ends[backend].push(Date.now());
      peer.goAway();
    },
  };
}

// ── All of them ─────────────────────────────────────────────────────────────────────────────────────────────────────

const nodeSettings = (initialWindowSize) => ({
  maxSessionMemory: 1000,
  settings: { initialWindowSize, maxConcurrentStreams: 50 },
});
const secure = { cert: readFileSync(certificate), key: readFileSync(key) };
const frames = (backend) => (socket) => serveFrames(backend, socket);
const inTheClear = (serve) => net.createServer({ noDelay: true }, serve);
const servers = {
  http1: [inTheClear(serveHttp1), inTheClear(serveHttp1)],
  node: [65_535, 1000].map((window) =>
    HAS_SOUND_HTTP2
      ? serveNode('node', http2.createServer(nodeSettings(window)))
      : inTheClear(frames('node')),
  ),
  frames: [inTheClear(frames('frames')), inTheClear(frames('frames'))],
  secure: [1 << 20, 65_535].map((window) =>
    HAS_SOUND_HTTP2
      ? serveNode('secure', http2.createSecureServer({ ...secure, ...nodeSettings(window) }))
      : tls.createServer({ ...secure, ALPNProtocols: ['h2'], noDelay: true }, frames('secure')),
  ),
};
const ports = {};
for (const [name, both] of Object.entries(servers)) {
  ports[name] = [];
  for (const server of both) {
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
    await once(server, 'listening');
    ports[name].push(server.address().port);
  }
}

process.on('message', ({ number }) => {
  const broken = [...violations, ...peers.flatMap((peer) => peer.violations)];
  process.send({ number, ports, attempts: [...attempts], ends, violations: broken });
});
process.on('disconnect', () => process.exit());
