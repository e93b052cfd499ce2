/** Reads server-sent events out of the pieces that they come in (HTML Standard, section 9.2.6), as far as Fairlead writes them. */

export interface ReadEvent {
  readonly id: number;
  readonly event: string;
  /** A JSON line of the log. */
  readonly data: string;
}

export class EventReader {
  readonly #decoder = new TextDecoder();
  #rest = '';
  /** Undefined before anything was said. */
  lastId: number | undefined;

  /** @returns the events that are complete now. */
  push(bytes: Uint8Array): ReadEvent[] {
    const blocks = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    return blocks.flatMap((block) => this.#read(block) ?? []);
  }

  #read(block: string): ReadEvent | undefined {
    let event = '';
    let data: string | undefined;
    for (const line of block.split('\n')) {
      const colon = line.indexOf(': ');
      const value = line.slice(colon + 2);
      const name = line.slice(0, colon);
      if (name === 'id' && /^\d+$/.test(value)) this.lastId = Number(value);
      else if (name === 'event') event = value;
      else if (name === 'data') data = value;
    }
    return data === undefined ? undefined : { id: this.lastId ?? 0, event, data };
  }
}
