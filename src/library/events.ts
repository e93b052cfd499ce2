/** What a proxy tells of itself: each thing that is worth a line in its log, by the same names. */
import type { EventName } from '../observe/event-names.ts';

export type ProxyEventName = EventName;

export interface ProxyEvent {
  /** Such as `backend.down`. */
  readonly event: string;
  readonly level: 'info' | 'warn' | 'error' | 'fatal';
  /** For people. */
  readonly message: string;
  /** For programs: `backend`, `id`, `pool` and the like. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly time: Date;
}

interface LogLine {
  readonly level: ProxyEvent['level'];
  readonly time: string;
  readonly event: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export type ProxyListener = (event: ProxyEvent) => void;

export class ProxyEvents {
  readonly #listeners = new Map<string, Set<ProxyListener>>();

  on(name: ProxyEventName | '*', listener: ProxyListener): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  off(name: ProxyEventName | '*', listener: ProxyListener): void {
    this.#listeners.get(name)?.delete(listener);
  }

  /**
   * In a turn of its own, so that a listener that throws is its owner's fault, and no step of ours is cut short.
   * @param line as `GET /events` sends it.
   */
  readonly tell = (name: string, line: string): void => {
    const listeners = [...(this.#listeners.get(name) ?? []), ...(this.#listeners.get('*') ?? [])];
    if (listeners.length === 0) return;
    const event = eventOf(name, line);
    for (const listener of listeners) queueMicrotask(() => listener(event));
  };
}

function eventOf(event: string, line: string): ProxyEvent {
  const { level, time, event: _event, msg, ...fields } = JSON.parse(line) as LogLine;
  return { event, level, message: msg, fields, time: new Date(time) };
}
