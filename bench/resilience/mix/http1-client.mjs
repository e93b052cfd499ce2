/** The client of HTTP/1.1 of the mix. */
import { once } from 'node:events';
import { chunk, Http1Reader, head, lastChunk } from './http1-reader.mjs';
import { connect, written } from './sending.mjs';

const MOST_IDLE = 20;

class Http1Connection {
  socket;
  visit = null;
  isSentWhole = false;
  isToClose = false;
  #onIdle;
  #reader;

  constructor(socket, onIdle) {
    this.socket = socket;
    this.#onIdle = onIdle;
    this.#reader = new Http1Reader({
      onHead: (first, fields) => {
        const status = Number(first.slice(9, 12));
        this.isToClose ||= fields.get('connection') === 'close';
        this.visit?.onHead(status, fields);
        if (status < 200) return 'none';
        const isBare = this.visit?.plan.method === 'HEAD' || status === 204 || status === 304;
        if (isBare) this.#over(new Map());
        return isBare ? 'none' : 'body';
      },
      onData: (bytes) => this.visit?.onData(bytes),
      onEnd: (trailers) => this.#over(trailers),
    });
    socket.on('data', (bytes) => {
      try {
        this.#reader.push(bytes);
        if (this.visit === null && !this.#reader.isAtRest)
          throw new Error('bytes behind an answer');
      } catch (error) {
        this.visit?.onBroken(`malformed: ${error.message}`);
        socket.destroy();
      }
    });
    socket.on('error', () => {});
    socket.on('end', () => this.#ended());
    socket.on('close', () => this.#ended());
  }

  #ended() {
    this.visit?.onBroken('the connection ended');
    this.visit = null;
    this.socket.destroy();
  }

  #over(trailers) {
    const { visit } = this;
    this.visit = null;
    if (visit === null) return;
    const isReusable = visit.hasEnded && !this.isToClose;
    if (!isReusable) this.socket.destroy();
    visit.onEnd(trailers);
    if (isReusable) this.#onIdle(this);
  }

  begin(visit) {
    const { socket } = this;
    const { method, path, request } = visit.plan;
    this.visit = visit;
    visit.leavesBy((how) => {
      this.visit = null;
      if (how === 'end' || socket.resetAndDestroy === undefined || socket.encrypted)
        socket.destroy();
      else socket.resetAndDestroy();
      visit.onBroken('left');
    });
    const isChunked = !request.hasLength;
    const fields = [['host', 'localhost'], ...visit.fields];
    if (isChunked) fields.push(['transfer-encoding', 'chunked']);
    socket.write(head(`${method} ${path} HTTP/1.1`, fields), 'latin1');
    void visit.send({
      write: (bytes) => written(socket, isChunked ? chunk(bytes) : bytes),
      end: (trailers) => {
        if (isChunked) socket.write(lastChunk(trailers), 'latin1');
      },
    });
  }
}

export class Http1Client {
  #idle = [];
  #ports;
  #isSecure;

  constructor(ports, isSecure) {
    this.#ports = ports;
    this.#isSecure = isSecure;
  }

  async begin(visit) {
    let connection = this.#idle.pop();
    while (connection?.socket.destroyed) connection = this.#idle.pop();
    if (connection === undefined) {
      const socket = connect(this.#ports, this.#isSecure, 'http/1.1');
      connection = new Http1Connection(socket, (idle) => this.#rest(idle));
      await once(socket, this.#isSecure ? 'secureConnect' : 'connect');
    }
    connection.begin(visit);
  }

  #rest(connection) {
    this.#idle.push(connection);
    if (this.#idle.length > MOST_IDLE) this.#idle.shift().socket.destroy();
  }

  close() {
    for (const { socket } of this.#idle) socket.destroy();
  }
}
