/**
 * Preloaded into Fairlead and its threads: a request whose last field is `X-Throw: SEAM` makes a callback of its own
 * handling throw, or (`next-…`) the next callback of that kind in its thread, once.
 */
import { isMainThread } from 'node:worker_threads';
import { moduleOf } from './module-of.mjs';

/** What a client connection, an exchange, its attempts or a stream were marked with. */
const marks = new WeakMap();
/** The mark of what is being handled now. */
let current = '';
/** The mark of the head that was parsed last. */
let asked = '';
/** A seam of the thread that throws the next time. */
let armed = '';

function markOf(buffer, end) {
  return /X-Throw: (\S+)\r\n\r\n/.exec(buffer.latin1Slice(0, end))?.[1] ?? '';
}

function boom(seam) {
  throw new Error(`thrown at ${seam}`);
}

function wrap({ prototype }, name, around) {
  const original = prototype[name];
  if (typeof original !== 'function') throw new Error(`there is no ${name} any more`);
  prototype[name] = function wrapped(...args) {
    return around(this, () => original.apply(this, args), args);
  };
}

/** `seam` before the callback does its work, `seam-after` behind it. */
function throwsFor(type, name, seam) {
  wrap(type, name, (self, go) => {
    const mark = marks.get(self);
    if (mark === seam) boom(seam);
    const result = go();
    if (mark === `${seam}-after`) boom(mark);
    return result;
  });
}

/** From now on `self` has the mark of what is being handled. */
function marksItself(type, name) {
  wrap(type, name, (self, go) => {
    if (current !== '') marks.set(self, current);
    return go();
  });
}

/** What is called within has the mark of `self`. */
function carriesMark(type, name) {
  wrap(type, name, (self, go) => {
    const before = current;
    current = marks.get(self) ?? '';
    try {
      return go();
    } finally {
      current = before;
    }
  });
}

function throwsOnce(type, name, seam) {
  wrap(type, name, (_self, go) => {
    if (armed === seam) {
      armed = '';
      boom(seam);
    }
    return go();
  });
}

async function arm() {
  const { ClientConnection } = await moduleOf('data/listen/client-connection');
  const { Listener } = await moduleOf('data/listen/listener');
  const { TlsAcceptor } = await moduleOf('data/listen/tls-acceptor');
  const { TlsStream } = await moduleOf('data/stream/tls-stream');
  const { Http1Responder } = await moduleOf('data/listen/http1-responder');
  const { Exchange } = await moduleOf('data/relay/exchange');
  const { Attempts } = await moduleOf('data/relay/attempts');
  const { Attempt } = await moduleOf('data/relay/attempt');
  const { Backend } = await moduleOf('data/backend/backend');
  const { Http1Stream } = await moduleOf('data/backend/http1-stream');
  const { OpenTunnels } = await moduleOf('data/relay/open-tunnels');
  const { TcpStream } = await moduleOf('data/stream/tcp-stream');
  const { HeadParser } = await moduleOf('data/wire/head-parser');
  const { ProcessCounters } = await moduleOf('snapshot/process-counters');

  throwsFor(ClientConnection, 'onBytes', 'client-read');
  throwsFor(ClientConnection, 'onDrain', 'client-drain');
  throwsFor(ClientConnection, 'onDeadline', 'deadline');
  throwsFor(ClientConnection, 'onClosed', 'client-closed');
  throwsFor(ClientConnection, 'onEnd', 'client-end');
  throwsFor(Exchange, 'onBodyFlush', 'body-read');
  throwsFor(Exchange, 'onTunnelBytes', 'tunnel');
  throwsFor(Attempt, 'begin', 'begin');
  throwsFor(Attempt, 'onConnected', 'connected');
  throwsFor(Attempt, 'onConnectFailed', 'connect-failed');
  throwsFor(Http1Stream, 'onBackendBytes', 'backend-read');
  throwsFor(Attempt, 'onHead', 'head');
  throwsFor(Http1Stream, 'onBackendEnd', 'backend-end');
  throwsFor(Attempt, 'onEnd', 'response-end');
  throwsFor(Http1Stream, 'onBackendDrain', 'backend-drain');
  throwsFor(Attempts, 'onDue', 'timer');
  throwsFor(Attempts, 'tryStart', 'queue');
  throwsFor(TcpStream, 'flush', 'client-flush');
  throwsFor(TcpStream, 'flush', 'backend-flush');
  throwsFor(TlsStream, 'flush', 'tls-flush');
  carriesMark(Attempts, 'start');
  marksItself(Attempts, 'start');
  marksItself(Attempt, 'begin');
  wrap(Backend, 'acquire', (_self, go) => {
    const stream = go();
    if (stream !== null) marks.set(stream, current);
    return stream;
  });
  wrap(HeadParser, 'parse', (self, go, [buffer, base]) => {
    const outcome = go();
    if (self.length > 0) asked = markOf(buffer.subarray(base), self.length);
    return outcome;
  });
  wrap(Exchange, 'begin', (self, go) => {
    if (asked !== '') marks.set(self, asked);
    if (asked === 'later') boom(asked);
    return go();
  });
  wrap(Attempts, 'onDue', (self, go) => {
    // The attempt that the timer begins is a hedge.
    const before = current;
    current = marks.get(self) === 'hedge' ? 'backend-read' : '';
    try {
      return go();
    } finally {
      current = before;
    }
  });
  wrap(TlsStream, 'writeText', (self, go) => {
    if (current === 'tls-flush') marks.set(self, current);
    return go();
  });
  wrap(TcpStream, 'writeText', (self, go, [text]) => {
    if (current === 'client-flush') marks.set(self, current);
    if (text.includes('X-Throw: backend-flush\r\n')) marks.set(self, 'backend-flush');
    return go();
  });
  marksItself(Http1Responder, 'begin');
  carriesMark(Http1Responder, 'sendText');
  wrap(ClientConnection, 'onBytes', (self, go, [buffer, length]) => {
    const mark = markOf(buffer, length);
    if (mark.startsWith('next-')) armed = mark;
    else if (mark !== '') marks.set(self, mark);
    if (mark === 'next-uncaught') {
      for (let count = 0; count < 3; count++) setImmediate(boom, mark);
    }
    current = mark;
    try {
      return go();
    } finally {
      current = '';
    }
  });
  throwsOnce(TlsAcceptor, 'acceptHandle', 'next-tls-accept');
  throwsOnce(TlsAcceptor, 'acceptSocket', 'next-tls-accept');
  throwsOnce(TlsAcceptor, 'onFirstBytes', 'next-first-bytes');
  throwsOnce(Listener, 'onSecure', 'next-secure');
  wrap(Listener, 'onGone', (_self, go) => {
    go();
    if (armed !== 'next-gone') return;
    armed = '';
    boom('next-gone');
  });
  throwsOnce(ProcessCounters, 'tryAcceptClient', 'next-accept');
  throwsOnce(OpenTunnels, 'tick', 'next-tick');
  throwsOnce(OpenTunnels, 'keep', 'next-message');
  const { get } = Object.getOwnPropertyDescriptor(
    Object.getPrototypeOf(TcpStream.prototype),
    'remoteAddress',
  );
  Object.defineProperty(TcpStream.prototype, 'remoteAddress', {
    get() {
      if (armed === 'next-accepted') {
        armed = '';
        boom('next-accepted');
      }
      return get.call(this);
    },
  });
}

if (!isMainThread) await arm();
