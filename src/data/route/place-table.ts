/**
 * Where routes lie: under a host and a path. One hash table for all hosts, in one piece of memory, at most half full; it
 * never changes. Paths are few, and the same under many hosts, so what a slot says of its path is a number.
 */
import type { PathMatch } from '../../snapshot/route.ts';
import { hashSegment, type Segments } from './segments.ts';
import { spread } from './text-hash.ts';

/** `find`: nothing lies there. */
export const NO_PLACE = -1;

/** What paths have in common that are equally specific. */
export class PathForm {
  /** Which of its segments have texts, and which have names. */
  readonly texts: readonly number[];
  readonly names: readonly number[];
  readonly seed: number;
  readonly #isExact: boolean;
  readonly #count: number;

  /** @param id of its own, a whole number. */
  constructor(id: number, { kind, segments }: PathMatch) {
    const indices = [...segments.keys()];
    this.texts = indices.filter((index) => segments[index]?.kind === 'text');
    this.names = indices.filter((index) => segments[index]?.kind === 'name');
    this.seed = Math.imul(id + 1, 0x85eb_ca6b);
    this.#isExact = kind === 'exact';
    this.#count = segments.length;
  }

  /** Whether a path has as many segments as it takes, and something for each name. */
  fits(segments: Segments): boolean {
    if (this.#isExact ? segments.count !== this.#count : segments.count < this.#count) return false;
    for (let index = 0; index < this.names.length; index++) {
      if (segments.isEmpty(this.names[index] as number)) return false;
    }
    return true;
  }
}

export interface PlacePath {
  readonly form: PathForm;
  /** One for each of `form.texts`. */
  readonly texts: readonly string[];
}

export interface Place {
  readonly host: number;
  /** One object for all places with this path. */
  readonly path: PlacePath;
  /** What `find` answers: any whole number but NO_PLACE. */
  readonly content: number;
}

// A slot.
const HASH = 0;
const HOST = 1;
/** One more than its index; 0: the slot is free. */
const PATH = 2;
const CONTENT = 3;
const SLOT = 4;

export class PlaceTable {
  readonly #paths: readonly PlacePath[];
  readonly #mask: number;
  readonly #slots: Int32Array;

  constructor(places: readonly Place[]) {
    this.#paths = [...new Set(places.map(({ path }) => path))];
    const indices = new Map(this.#paths.map((path, index) => [path, index]));
    const slots = 2 ** Math.ceil(Math.log2(2 * places.length + 1));
    this.#mask = slots - 1;
    this.#slots = new Int32Array(SLOT * slots);
    for (const { host, path, content } of places) {
      let hash = beginHash(host, path.form);
      for (const text of path.texts) hash = addHash(hash, hashSegment(text));
      hash = spread(hash);
      let slot = hash & this.#mask;
      while (this.#slots[SLOT * slot + PATH] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots.set([hash, host, (indices.get(path) ?? 0) + 1, content], SLOT * slot);
    }
  }

  /**
   * What lies under the host and those segments of the path that the form has texts for.
   * @param form one that fits.
   * @param segments of `path`.
   */
  find(host: number, form: PathForm, segments: Segments, path: string): number {
    const { texts } = form;
    let hash = beginHash(host, form);
    for (let index = 0; index < texts.length; index++) {
      hash = addHash(hash, segments.hashes[texts[index] as number] as number);
    }
    hash = spread(hash);
    const slots = this.#slots;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = SLOT * slot;
      const number = slots[at + PATH] as number;
      if (number === 0) return NO_PLACE;
      if (slots[at + HASH] !== hash || slots[at + HOST] !== host) continue;
      // Hashes are no secret: whoever may choose the path can find one that has the hash of another.
      const known = this.#paths[number - 1] as PlacePath;
      if (known.form === form && hasTexts(known, segments, path)) {
        return slots[at + CONTENT] as number;
      }
    }
  }
}

function hasTexts({ form, texts }: PlacePath, segments: Segments, path: string): boolean {
  for (let index = 0; index < texts.length; index++) {
    if (!segments.isText(form.texts[index] as number, path, texts[index] as string)) return false;
  }
  return true;
}

function beginHash(host: number, { seed }: PathForm): number {
  return Math.imul(host, 0x9e37_79b1) ^ seed;
}

function addHash(hash: number, segment: number): number {
  return Math.imul(((hash << 13) | (hash >>> 19)) ^ segment, 0xcc9e_2d51);
}
