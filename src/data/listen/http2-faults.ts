/** Clients of HTTP/2 whose connection was ended for what they did: how many, and why the first of them, until the control plane is told. */
import type { Http2FaultMessage } from '../../snapshot/messages.ts';

export type Http2Faults = Pick<Http2FaultMessage, 'count' | 'peer' | 'code' | 'error' | 'rule'>;

export class Http2FaultCount {
  #count = 0;
  #peer = '';
  #code: Http2Faults['code'] = 'ERR_CLIENT_HTTP2';
  #error = '';
  #rule = '';

  /**
   * @param peer its address, or whatever stands for one
   * @param error the name of what its GOAWAY says
   * @param rule that it has broken, in words
   */
  add(peer: string, code: Http2Faults['code'], error: string, rule: string): void {
    // Of many at once, one stands for all: whoever sends them shall not make us write.
    if (this.#count++ > 0) return;
    this.#peer = peer;
    this.#code = code;
    this.#error = error;
    this.#rule = rule;
  }

  /** Those since it was last asked for; null: none. */
  take(): Http2Faults | null {
    const count = this.#count;
    if (count === 0) return null;
    this.#count = 0;
    const [peer, code, error, rule] = [this.#peer, this.#code, this.#error, this.#rule];
    return { count, peer, code, error, rule };
  }
}
