/**
 * The contract between the planes, part four: blocks of shared memory that carry access-log lines.
 *
 * A data thread fills a block and hands it over by its number; the control plane writes the bytes where they belong and
 * gives the block back. Nothing is allocated or copied per batch, and what can be under way is bounded: when the control
 * plane does not keep up, the data thread finds no free block and drops lines, which it counts.
 */

/** Large blocks: what a hand-over costs (a message, a wake-up of the other thread) is shared by hundreds of lines. */
export const LOG_BLOCK_BYTES = 128 * 1024;
/** 8 MiB per thread at most; blocks that were never needed cost no memory. */
const BLOCKS = 64;
const STATES_BYTES = BLOCKS * 4;
const IS_FREE = 0;
const IS_TAKEN = 1;

export function createLogRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(STATES_BYTES + BLOCKS * LOG_BLOCK_BYTES);
}

export class LogRing {
  readonly #memory: SharedArrayBuffer;
  readonly #states: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
    this.#states = new Int32Array(memory, 0, BLOCKS);
  }

  /** Data thread: the number of a free block, taken from now on; −1 when there is none. Low numbers first. */
  take(): number {
    for (let block = 0; block < BLOCKS; block++) {
      if (Atomics.load(this.#states, block) === IS_FREE) {
        Atomics.store(this.#states, block, IS_TAKEN);
        return block;
      }
    }
    return -1;
  }

  /** The first `length` bytes of a block, which has no more than `LOG_BLOCK_BYTES`, whatever the other plane says. */
  bytes(block: number, length: number): Buffer {
    const bounded = Math.min(length, LOG_BLOCK_BYTES);
    return Buffer.from(this.#memory, STATES_BYTES + block * LOG_BLOCK_BYTES, bounded);
  }

  /** Control plane: the block's bytes are written. */
  release(block: number): void {
    Atomics.store(this.#states, block, IS_FREE);
  }
}
