/**
 * The last events, in bounded memory. They are the lines of the log, whatever level that is written at, each made ready to be
 * sent as a server-sent event. Ids go up by one from event to event, and go on above those of any process before this one.
 */
import { DEFAULT_POOL } from '../../config/settings.ts';
import { isOfPool } from '../../observe/event-names.ts';

const MOST_EVENTS = 1000;
const MOST_BYTES = 1024 * 1024;
/** A reload that was refused may say a lot. The log has all of it. */
const MOST_EVENT_BYTES = 16 * 1024;
const MOST_MESSAGE_LENGTH = 1000;

/** An id is the millisecond of the start and a count: no process makes a thousand events in each millisecond that it runs. */
const IDS_PER_MS = 1000;

export interface KeptEvent {
  readonly event: string;
  /** The one that it is about; null: it is about none, or about more. */
  readonly pool: string | null;
  /** As they are sent. */
  readonly bytes: Buffer;
}

/** @param line of the log, as it is sent: JSON. */
export type EventListener = (event: string, line: string) => void;

export interface EventRingOptions {
  readonly startedAtMs?: number;
  readonly mostEvents?: number;
  readonly mostBytes?: number;
}

export class EventRing {
  /** Before the first event of this process. */
  readonly zero: number;
  readonly #mostEvents: number;
  readonly #mostBytes: number;
  /** With consecutive ids; the newest last. */
  readonly #events: KeptEvent[] = [];
  readonly #listeners = new Set<EventListener>();
  #last: number;
  #bytes = 0;

  constructor(options: EventRingOptions = {}) {
    const { startedAtMs = Date.now(), mostEvents = MOST_EVENTS, mostBytes = MOST_BYTES } = options;
    this.zero = startedAtMs * IDS_PER_MS;
    this.#last = this.zero;
    this.#mostEvents = mostEvents;
    this.#mostBytes = mostBytes;
  }

  /** The id of the newest event; `zero` before the first. */
  get last(): number {
    return this.#last;
  }

  /** The id of the oldest event that is kept; the one that comes next where there is none. */
  get oldest(): number {
    return this.#last + 1 - this.#events.length;
  }

  /** Undefined for one that is not kept any more, or has not happened yet. */
  get(id: number): KeptEvent | undefined {
    return this.#events[id - this.oldest];
  }

  /** @param line of the log: JSON without a line break in it. */
  record(event: string, line: string): void {
    const id = ++this.#last;
    const data = clipped(line.trimEnd());
    const bytes = eventBlock(id, event, data);
    this.#events.push({ event, pool: poolOf(event, data), bytes });
    this.#bytes += bytes.length;
    while (this.#events.length > this.#mostEvents || this.#bytes > this.#mostBytes) {
      this.#bytes -= this.#events.shift()?.bytes.length ?? 0;
    }
    for (const listener of this.#listeners) listener(event, data);
  }

  /** Called after each event. @returns ends that. */
  listen(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** One event in the format of the HTML Standard, section 9.2.5. */
export function eventBlock(id: number, event: string, data: string): Buffer {
  return Buffer.from(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`);
}

function poolOf(event: string, line: string): string | null {
  if (!isOfPool(event)) return null;
  const { pool } = JSON.parse(line) as { readonly pool?: unknown };
  return typeof pool === 'string' ? pool : DEFAULT_POOL;
}

function clipped(line: string): string {
  if (Buffer.byteLength(line) <= MOST_EVENT_BYTES) return line;
  const { level, time, event, backend, id, pool, by, msg } = JSON.parse(line) as Record<
    string,
    unknown
  >;
  const message = String(msg).slice(0, MOST_MESSAGE_LENGTH);
  return JSON.stringify({ level, time, event, backend, id, pool, by, cut: true, msg: message });
}
