import type { ErrorCode } from '../../errors.ts';
import type { Victim } from '../barrier.ts';
import type { Sender, ThreadIo } from '../stream/thread-io.ts';
import { type OwnedStream, told } from './http2-owned-stream.ts';

/** Streams that have failed in the middle of what their users do: told once the round is over. */
export class LateFailures implements Sender {
  readonly #io: ThreadIo;
  readonly #owner: Victim;
  #failing: { readonly stream: OwnedStream; readonly code: ErrorCode; readonly detail: string }[] =
    [];

  /** @param owner who pays for an exception that is no stream's */
  constructor(io: ThreadIo, owner: Victim) {
    this.#io = io;
    this.#owner = owner;
  }

  add(stream: OwnedStream, code: ErrorCode, detail: string): void {
    if (this.#failing.length === 0) this.#io.flushLater(this);
    this.#failing.push({ stream, code, detail });
  }

  flush(): void {
    const failing = this.#failing;
    this.#failing = [];
    for (const { stream, code, detail } of failing) {
      told(stream, () => stream.failed(code, detail));
    }
  }

  onCrashed(error: unknown): void {
    this.#owner.onCrashed(error);
  }
}
