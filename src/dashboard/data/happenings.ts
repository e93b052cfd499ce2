/** Follows `GET /events`. By `fetch`, since an EventSource can't show a token. */
import { headersOf, onUnauthorized, refusalOf, urlOf } from './calls.ts';
import { EventText } from './event-text.ts';
import type { Happening } from './shapes.ts';
import { Store } from './store.ts';

/** In memory; older ones go. */
const MOST_KEPT = 500;
/** A comment comes every ten seconds: what is silent for longer is no connection any more. */
const SILENCE_MS = 25_000;
const SLOWEST_RETRY_MS = 10_000;
/** Many at once are drawn once. */
const DRAW_MS = 100;

export interface Followed extends Happening {
  readonly key: string;
}

export class Happenings {
  /** The newest first. */
  readonly all = new Store<readonly Followed[]>([]);
  /** Empty while they come. */
  readonly trouble = new Store('not connected yet');
  #coming: Followed[] = [];
  #timer: number | undefined;
  #running: AbortController | undefined;
  #lastId = '0';
  /** Told after new ones were taken. */
  onNew: () => void = () => {};

  start(): void {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    void this.#follow(running.signal);
  }

  stop(): void {
    this.#running?.abort();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#coming = [];
  }

  /** Another token, another view: nothing is carried over. */
  forget(): void {
    this.stop();
    this.#lastId = '0';
    this.all.set([]);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted; tries++) {
      const began = performance.now();
      try {
        await this.#read(signal);
        this.trouble.set('the stream has ended');
      } catch (error) {
        if (signal.aborted) return;
        this.trouble.set(error instanceof Error ? error.message : 'no connection');
      }
      if (performance.now() - began > SLOWEST_RETRY_MS) tries = 0;
      const waitMs = Math.min(SLOWEST_RETRY_MS, 500 * 2 ** Math.min(tries, 6));
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  /** Until either side ends it. @throws whatever ends it before its time. */
  async #read(signal: AbortSignal): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const response = await fetch(urlOf('events'), {
        cache: 'no-store',
        headers: headersOf({ Accept: 'text/event-stream', 'Last-Event-ID': this.#lastId }),
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if (!response.ok || response.body === null) {
        const failed = await refusalOf(response.status, await response.text());
        if (failed.status === 401) onUnauthorized(failed.message);
        throw failed;
      }
      this.trouble.set('');
      const text = new EventText();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        for (const { id, data } of text.take(value)) this.#take(id, data);
        if (text.lastId !== '') this.#lastId = text.lastId;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #take(id: string, data: string): void {
    let happening: Happening;
    try {
      happening = JSON.parse(data) as Happening;
    } catch {
      return;
    }
    this.#coming.unshift({ ...happening, key: id });
    this.#coming.length = Math.min(this.#coming.length, MOST_KEPT);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.all.set([...this.#coming, ...this.all.now].slice(0, MOST_KEPT));
      this.#coming = [];
      this.onNew();
    }, DRAW_MS);
  }
}
