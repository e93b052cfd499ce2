/**
 * What all streams of a thread share: the memory they read into, and the round of the event loop in which they write.
 *
 * Small messages all go through one buffer: their bytes are looked at, rewritten and gone when the call returns. A
 * connection that has nearly filled it carries a large body: it reads into chunks of its own from then on, and such a chunk is
 * written to the other side as it is. Only when the other side does not take it at once does it stay lent until it has left,
 * and the reader goes on with another one. So no byte of a large body is copied in user space, and nothing is allocated for
 * it: V8 would let 64 MiB of such garbage gather outside its heap before it collects.
 *
 * Small writes wait for the end of the round: first everything that has arrived is read and answered, then all of it is
 * sent. Writing wakes whoever waits for it at the other end, and that costs more than the write itself; those who get
 * their requests in one burst are woken once. The code of both halves also stays in the processor's caches meanwhile.
 */

import type { Victim } from '../barrier.ts';
import { Deadlines } from '../deadlines.ts';
import { Lookups } from './lookups.ts';
import { ReadTurns } from './read-turns.ts';
import { TlsSessions } from './tls-sessions.ts';

/** One read at most. Twice as much saves nothing, and half of it does not hold a body of 64 KiB with its head. */
export const READ_BYTES = 128 * 1024;
/** Chunks kept for the next body. */
const MAX_SPARE = 32;

export class Chunk {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  /** Writes under way that take their bytes from here. */
  writes = 0;
  /** A connection reads into it. */
  isReading = false;
}

/** A stream that has something to send at the end of the round. */
export interface Sender extends Victim {
  flush(): void;
}

export class ThreadIo {
  /** What every connection reads into that carries no large body. */
  readonly shared: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  /** The chunk whose bytes are being handed to a stream's user, for the length of that call. */
  lent: Chunk | null = null;
  /** Chunks that are read into or written from. */
  chunksInUse = 0;
  readonly deadlines: Deadlines;
  readonly lookups = new Lookups();
  readonly sessions = new TlsSessions();
  readonly readTurns = new ReadTurns();
  readonly #spare: Chunk[] = [];
  #senders: Sender[] = [];
  #otherSenders: Sender[] = [];
  readonly #flushAll = (): void => this.#flushSenders();

  constructor(deadlines = new Deadlines()) {
    this.deadlines = deadlines;
  }

  /** A chunk that nobody reads into or writes from. */
  take(): Chunk {
    this.chunksInUse++;
    return this.#spare.pop() ?? new Chunk();
  }

  /** Takes a chunk back that is no longer read into or written from; while either goes on, nothing happens. */
  giveBack(chunk: Chunk): void {
    if (chunk.isReading || chunk.writes > 0) return;
    this.chunksInUse--;
    if (this.#spare.length < MAX_SPARE) this.#spare.push(chunk);
  }

  /** Flushes `sender` once all events of this round have been handled. */
  flushLater(sender: Sender): void {
    // The check phase of libuv's loop comes right behind its poll phase.
    if (this.#senders.length === 0) setImmediate(this.#flushAll);
    this.#senders.push(sender);
  }

  #flushSenders(): void {
    const senders = this.#senders;
    this.#senders = this.#otherSenders;
    this.#otherSenders = senders;
    for (let index = 0; index < senders.length; index++) {
      const sender = senders[index] as Sender;
      try {
        sender.flush();
      } catch (error) {
        sender.onCrashed(error);
      }
    }
    senders.length = 0;
  }
}
