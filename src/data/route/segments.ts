/**
 * A path cut at its slashes, in memory that is used again for the next one; and the cutting of single pieces, for who has
 * been told what matched.
 */

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;

const HASH_SEED = 0x811c9dc5 | 0;
const HASH_PRIME = 0x0100_0193;

/** A segment's hash, as `Segments` makes it (FNV-1a). */
export function hashSegment(text: string): number {
  let hash = HASH_SEED;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), HASH_PRIME);
  }
  return hash;
}

export class Segments {
  /** Of the path's segments, but at most one more than asked for: then there are more than any route has. */
  count = 0;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly hashes: Int32Array;
  readonly #most: number;

  /** @param most segments that are ever looked at. */
  constructor(most: number) {
    this.#most = most + 1;
    this.starts = new Int32Array(this.#most);
    this.ends = new Int32Array(this.#most);
    this.hashes = new Int32Array(this.#most);
  }

  /** @param path in origin form; `*` has no segments. */
  read(path: string): void {
    this.count = 0;
    if (path.charCodeAt(0) !== SLASH) return;
    const { length } = path;
    let start = 1;
    let hash = HASH_SEED;
    for (let position = 1; ; position++) {
      const code = position < length ? path.charCodeAt(position) : QUESTION_MARK;
      if (code !== SLASH && code !== QUESTION_MARK) {
        hash = Math.imul(hash ^ code, HASH_PRIME);
        continue;
      }
      this.starts[this.count] = start;
      this.ends[this.count] = position;
      this.hashes[this.count] = hash;
      this.count++;
      if (code === QUESTION_MARK || this.count === this.#most) return;
      start = position + 1;
      hash = HASH_SEED;
    }
  }

  isText(index: number, path: string, text: string): boolean {
    const start = this.starts[index] as number;
    if ((this.ends[index] as number) - start !== text.length) return false;
    for (let at = 0; at < text.length; at++) {
      if (path.charCodeAt(start + at) !== text.charCodeAt(at)) return false;
    }
    return true;
  }

  isEmpty(index: number): boolean {
    return this.starts[index] === this.ends[index];
  }
}

/** A segment of a path, as it stands: what a name of a route stands for. Empty where there is none. */
export function segmentAt(path: string, index: number): string {
  const start = endOfSegments(path, index) + 1;
  return start > path.length ? '' : path.slice(start, endOfSegments(path, index + 1));
}

/** What follows the first segments of a path: empty, or from a slash up to the query. */
export function restAfter(path: string, segments: number): string {
  return path.slice(endOfSegments(path, segments), endOfPath(path));
}

/** The offset behind the first segments, at most that of the query. */
function endOfSegments(path: string, segments: number): number {
  const end = endOfPath(path);
  let position = 0;
  for (let segment = 0; segment < segments && position < end; segment++) {
    const slash = path.indexOf('/', position + 1);
    position = slash === -1 || slash > end ? end : slash;
  }
  return position;
}

function endOfPath(path: string): number {
  const mark = path.indexOf('?');
  return mark === -1 ? path.length : mark;
}
