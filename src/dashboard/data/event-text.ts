/** Server-sent events, as they come in any pieces (https://html.spec.whatwg.org/multipage/server-sent-events.html, §9.2.6). */

export interface SentEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** What is longer without an end is none of ours. */
const LONGEST = 1 << 20;

export class EventText {
  #rest = '';
  #id = '';
  #event = '';
  #data: string[] = [];

  get lastId(): string {
    return this.#id;
  }

  /** @returns those that are whole. @throws where a line has no end. */
  take(text: string): SentEvent[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LONGEST) throw new Error('an event without an end');
    const events: SentEvent[] = [];
    for (const line of lines) {
      if (line !== '') this.#field(line);
      else {
        if (this.#data.length > 0) {
          events.push({ id: this.#id, event: this.#event, data: this.#data.join('\n') });
        }
        this.#event = '';
        this.#data = [];
      }
    }
    return events;
  }

  #field(line: string): void {
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
    if (name === 'id') this.#id = value;
    else if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
  }
}
