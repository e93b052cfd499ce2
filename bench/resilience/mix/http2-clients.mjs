/** The clients of HTTP/2 of the mix: that of Node, and one that speaks frame by frame. */
import { once } from 'node:events';
import http2 from 'node:http2';
import { Http2Peer } from './http2-peer.mjs';
import { DEFAULT_WINDOW, Draw, WINDOWS } from './plan.mjs';
import { connect, giveUp, written } from './sending.mjs';

/** Exchanges of one connection, after which it is left. */
const MOST_EXCHANGES = 400;
const { NGHTTP2_NO_ERROR } = http2.constants;

const pseudo = ({ method, path }, isSecure) => [
  [':method', method],
  [':scheme', isSecure ? 'https' : 'http'],
  [':authority', 'localhost'],
  [':path', path],
];

/** Connections of one kind of client, by what their windows are like. */
class Connections {
  #byProfile = new Map();
  #opened = 0;
  #open;
  violations = [];

  /** @param {(profile: string, number: number) => object} open */
  constructor(open) {
    this.#open = open;
  }

  async begin(visit) {
    const { profile } = visit.plan;
    const all = this.#byProfile.get(profile) ?? new Set();
    this.#byProfile.set(profile, all);
    for (const one of all) {
      if (one.isOver || one.isDone) this.#forget(all, one);
    }
    let connection = [...all].find((one) => one.hasRoom);
    if (connection === undefined) {
      connection = this.#open(profile, this.#opened++);
      all.add(connection);
    }
    connection.add(visit);
    await connection.ready;
    connection.begin(visit);
  }

  #forget(all, connection) {
    all.delete(connection);
    if (connection.isDone) connection.close();
    this.violations.push(...connection.violations);
  }

  close() {
    for (const all of this.#byProfile.values()) {
      for (const connection of all) {
        connection.close();
        this.violations.push(...connection.violations);
      }
    }
  }
}

/** What both kinds of connections count. */
class Http2Connection {
  violations = [];
  visits = new Set();
  #taken = 0;
  #atOnce;
  #most;

  constructor(draw) {
    this.#atOnce = 10 + draw.below(41);
    this.#most = 20 + draw.below(MOST_EXCHANGES);
  }

  get hasRoom() {
    return !this.isOver && this.visits.size < this.#atOnce && this.#taken < this.#most;
  }

  /** It has had all its exchanges. */
  get isDone() {
    return this.#taken === this.#most && this.visits.size === 0;
  }

  add(visit) {
    this.visits.add(visit);
    this.#taken++;
  }

  /** The whole connection ends: what is on it, too. */
  leaveAll() {
    for (const visit of this.visits) visit.hasLeft = true;
  }
}

class FramesConnection extends Http2Connection {
  ready;
  #peer;
  #isSecure;

  constructor(socket, isSecure, profile, draw) {
    super(draw);
    this.#isSecure = isSecure;
    this.#peer = new Http2Peer(socket, { isServer: false, profile, draw, handler: {} });
    this.violations = this.#peer.violations;
    this.ready = once(socket, isSecure ? 'secureConnect' : 'connect');
  }

  get isOver() {
    return this.#peer.isOver || this.#peer.isLeaving;
  }

  begin(visit) {
    const { plan } = visit;
    const fields = [...pseudo(plan, this.#isSecure), ...visit.fields];
    const isEmpty = plan.request.length === 0;
    const stream = this.#peer.begin(fields, isEmpty);
    const over = (end) => {
      this.visits.delete(visit);
      end();
    };
    stream.handler = {
      head: (received, isEnd) => {
        const status = received.get(':status');
        if (status !== undefined) visit.onHead(Number(status), received);
        if (isEnd) stream.handler.end(received);
      },
      data: (bytes) => visit.onData(bytes),
      end: (trailers) => {
        over(() => visit.onEnd(trailers));
        // What is left of the request is for nobody.
        if (!visit.hasEnded) stream.reset();
      },
      broken: (why) => over(() => visit.onBroken(why)),
    };
    visit.leavesBy((how) => {
      if (how === 'all') {
        this.leaveAll();
        this.#peer.kill();
        return;
      }
      stream.reset();
      over(() => visit.onBroken('left'));
    });
    if (isEmpty) visit.sentNothing();
    else void visit.send(stream);
  }

  close() {
    this.#peer.socket.destroy();
  }
}

const CHANGES = [
  { initialWindowSize: 20 },
  { initialWindowSize: 1 << 20, maxFrameSize: 1 << 20 },
  { headerTableSize: 0 },
  { headerTableSize: 65_536 },
  { headerTableSize: 4096, maxFrameSize: 16_384, initialWindowSize: DEFAULT_WINDOW },
];

const fieldsOf = (object) =>
  new Map(
    Object.entries(object).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join('\n') : String(value),
    ]),
  );

class NodeConnection extends Http2Connection {
  ready;
  isOver = false;
  #isDestroyed = false;
  #session;
  #isSecure;
  #draw;
  #mayChange;
  #begun = 0;

  constructor(ports, isSecure, profile, draw) {
    super(draw);
    this.#draw = draw;
    this.#isSecure = isSecure;
    this.#mayChange = profile === 'changing';
    this.#session = http2.connect(`${isSecure ? 'https' : 'http'}://localhost`, {
      maxSessionMemory: 1000,
      createConnection: () => connect(ports, isSecure, 'h2'),
      settings: { enablePush: false, initialWindowSize: WINDOWS[profile] },
    });
    const gone = () => {
      this.isOver = true;
    };
    for (const event of ['goaway', 'close', 'error']) this.#session.on(event, gone);
    this.#session.on('goaway', (code) => {
      if (code !== NGHTTP2_NO_ERROR) this.violations.push(`GOAWAY ${code}`);
    });
    this.ready = once(this.#session, 'connect');
    if (profile !== 'large') return;
    this.#session.once('connect', (session) => session.setLocalWindowSize(1 << 21));
  }

  #change() {
    if (!this.#mayChange || ++this.#begun % 7 !== 0) return;
    this.#mayChange = false;
    this.#settings(this.#draw.of(CHANGES), () => {});
    // Small windows are for a while only.
    setTimeout(() => {
      this.#settings({ initialWindowSize: DEFAULT_WINDOW }, () => {
        this.#mayChange = true;
      });
    }, 20);
  }

  #settings(changed, onKnown) {
    const session = this.#session;
    if (!session.destroyed && !session.closed) session.settings(changed, onKnown);
  }

  begin(visit) {
    const { plan } = visit;
    const isEmpty = plan.request.length === 0;
    this.#change();
    const { hasTrailers } = plan.request;
    let stream;
    try {
      const fields = Object.fromEntries([...pseudo(plan, this.#isSecure), ...visit.fields]);
      stream = this.#session.request(fields, { endStream: isEmpty, waitForTrailers: hasTrailers });
    } catch {
      // The connection has ended meanwhile: it was asked for nothing.
      this.visits.delete(visit);
      visit.hasLeft = true;
      visit.onBroken('left');
      return;
    }
    this.#listen(stream, visit);
    visit.leavesBy((how) => {
      if (how === 'all') {
        this.leaveAll();
        this.isOver = true;
        this.#isDestroyed = true;
        this.#session.destroy();
        return;
      }
      giveUp(stream);
    });
    if (isEmpty) {
      visit.sentNothing();
      return;
    }
    let behind = [];
    stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(behind)));
    void visit.send({
      write: (bytes) => written(stream, bytes),
      end: (trailers) => {
        behind = trailers;
        if (!stream.destroyed && stream.writable) stream.end();
      },
    });
  }

  #listen(stream, visit) {
    let trailers = new Map();
    stream.on('headers', (fields) => visit.onHead(fields[':status'], fieldsOf(fields)));
    stream.on('response', (fields) => {
      visit.onHead(fields[':status'], fieldsOf(fields));
      for (const bytes of early.splice(0)) visit.onData(bytes);
    });
    stream.on('trailers', (fields) => {
      trailers = fieldsOf(fields);
    });
    // Node may tell of the first bytes before it tells of their head.
    const early = [];
    stream.on('data', (bytes) => {
      if (visit.status === 0) early.push(bytes);
      else visit.onData(bytes);
    });
    let hasEnded = false;
    const over = () => {
      this.visits.delete(visit);
      if (hasEnded) visit.onEnd(trailers);
      else visit.onBroken(visit.hasLeft ? 'left' : `reset with ${stream.rstCode}`);
    };
    stream.on('end', () => {
      // Also at a reset, and of all streams of a connection that is given up.
      hasEnded = stream.rstCode === NGHTTP2_NO_ERROR && !this.#isDestroyed;
      if (!hasEnded) return;
      over();
      if (!visit.hasEnded) giveUp(stream);
    });
    stream.on('error', () => {});
    stream.on('close', over);
    if (this.#draw.percent(5)) {
      stream.pause();
      setTimeout(() => stream.resume(), this.#draw.below(10));
    }
  }

  close() {
    this.#session.destroy();
  }
}

export function framesClient(ports, seed, isSecure) {
  return new Connections((profile, number) => {
    const draw = new Draw(seed, number, 5);
    return new FramesConnection(connect(ports, isSecure, 'h2'), isSecure, profile, draw);
  });
}

export function nodeClient(ports, seed, isSecure) {
  return new Connections(
    (profile, number) => new NodeConnection(ports, isSecure, profile, new Draw(seed, number, 6)),
  );
}
