/** Says that a listed proxy sends no PROXY header: of each listener at once, and then once a minute, as long as there are more. */
import { formatDuration } from '../config/duration.ts';
import type { Logger } from '../observe/logger.ts';
import type { NoProxyHeaderMessage } from '../snapshot/messages.ts';

const TELL_EVERY_MS = 60_000;

/** A listener of which was told within the last minute. */
interface Told {
  /** What has come since; `last` is the latest of it. */
  count: number;
  last: NoProxyHeaderMessage;
}

export class ProxyFaultLog {
  readonly #log: Logger;
  readonly #told = new Map<number, Told>();
  readonly #timers = new Map<number, NodeJS.Timeout>();
  #isStopped = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  add(message: NoProxyHeaderMessage): void {
    const told = this.#told.get(message.listenerId);
    if (told === undefined) {
      this.#tell(message, message.count);
      return;
    }
    told.count += message.count;
    told.last = message;
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const { count, last } of this.#told.values()) if (count > 0) this.#say(last, count);
    this.#told.clear();
  }

  #tell(message: NoProxyHeaderMessage, count: number): void {
    const { listenerId } = message;
    this.#say(message, count);
    if (this.#isStopped) return;
    this.#told.set(listenerId, { count: 0, last: message });
    const timer = setTimeout(() => this.#minuteIsOver(listenerId), TELL_EVERY_MS).unref();
    this.#timers.set(listenerId, timer);
  }

  #minuteIsOver(listenerId: number): void {
    const told = this.#told.get(listenerId);
    this.#told.delete(listenerId);
    this.#timers.delete(listenerId);
    if (told !== undefined && told.count > 0) this.#tell(told.last, told.count);
  }

  #say({ listener, peer, came, waitedMs }: NoProxyHeaderMessage, count: number): void {
    const who = peer === '' ? 'a client of the unix socket' : peer;
    const what = came === '' ? 'nothing' : `"${came}"`;
    const said =
      waitedMs === 0
        ? `said ${what} where a PROXY header begins`
        : `sent no whole PROXY header within ${formatDuration(waitedMs)} (timeouts.head), but ${what}`;
    const more =
      count === 1 ? 'its connection was closed' : `${count} such connections were closed`;
    this.#log.warn(
      'listener.no_proxy_header',
      `${listener}: ${who} is listed in proxy_protocol.from and ${said}; ${more}`,
      { listener, peer: peer === '' ? 'unix' : peer, came, count },
    );
  }
}
