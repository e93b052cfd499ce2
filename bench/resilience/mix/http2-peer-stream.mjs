/** A stream of http2-peer.mjs. */
import { frame, RST_STREAM, uint32 } from '../../http2-frames.mjs';

const CANCEL = 8;

export class PeerStream {
  id;
  peer;
  /** What Fairlead may be sent. */
  window;
  /** What came and was not credited. */
  owed = 0;
  /** What may come yet; not kept where windows change. */
  room;
  isOver = false;
  hasEnded = false;
  hasRemoteEnded = false;
  handler = null;
  #waiting = [];

  constructor(peer, id, window, room) {
    this.peer = peer;
    this.id = id;
    this.window = window;
    this.room = room;
  }

  /** @returns {Promise<boolean>} once it has left; false: it never will */
  write(bytes) {
    if (this.isOver) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, resolve });
      this.peer.pump();
    });
  }

  get wants() {
    return this.#waiting.length > 0 && !this.isOver;
  }

  /** One frame, as far as windows let it. @returns {boolean} whether something was sent */
  sendOne() {
    const { peer } = this;
    const [first] = this.#waiting;
    const room = Math.min(this.window, peer.window, peer.frameSize);
    const padding = peer.padding(room);
    const most = room - (padding < 0 ? 0 : padding + 1);
    if (most <= 0) return false;
    const part = first.bytes.subarray(0, most);
    peer.sendData(this, part, padding);
    first.bytes = first.bytes.subarray(part.length);
    if (first.bytes.length === 0) {
      this.#waiting.shift();
      first.resolve(true);
    }
    return true;
  }

  /** @param {readonly (readonly [string, string])[]} trailers */
  end(trailers) {
    if (this.isOver || this.hasEnded) return;
    this.hasEnded = true;
    if (trailers.length > 0) this.peer.sendHead(this.id, trailers, true);
    else this.peer.sendEnd(this.id);
    if (this.hasRemoteEnded) this.over();
  }

  reset(code = CANCEL) {
    if (this.isOver) return;
    this.peer.send(frame(RST_STREAM, 0, this.id, uint32(code)));
    this.over();
  }

  over() {
    if (this.isOver) return;
    this.isOver = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve(false);
    this.peer.forget(this);
  }
}
