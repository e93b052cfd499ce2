/** Preloaded into Fairlead and its threads: on streams of HTTP/2 with certain numbers, a callback throws. */
import { moduleOf } from './module-of.mjs';

/** What throws on which stream; the tests know it by these numbers. */
const SEAMS = {
  101: 'begin',
  103: 'receive',
  105: 'remoteEnded',
  107: 'sendHead',
  109: 'flush',
  111: 'end',
  113: 'exchangeDone',
  115: 'onDeadline',
  117: 'onRoom',
  119: 'wasReset',
};

async function arm() {
  const { Http2Stream } = await moduleOf('data/listen/http2-stream');
  for (const [id, name] of Object.entries(SEAMS)) {
    const original = Http2Stream.prototype[name];
    if (typeof original !== 'function') throw new Error(`there is no ${name} any more`);
    Http2Stream.prototype[name] = function wrapped(...args) {
      if (this.id === Number(id)) throw new Error(`thrown at ${name}`);
      return original.apply(this, args);
    };
  }
}

// Whichever thread the data plane is in.
await arm();
