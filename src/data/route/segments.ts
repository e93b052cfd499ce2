/**
 * A path cut at its slashes, in memory that is used again for the next one; and the cutting of single pieces, for who has
 * been told what matched.
 */
import { addToHash } from './text-hash.ts';

const PERCENT = 0x25;
const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;

/** A segment's hash, as `Segments` makes it. */
export function hashSegment(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index++) {
    hash = addToHash(hash, text.charCodeAt(index));
  }
  return hash;
}

export class Segments {
  /** Of the path's segments, but at most one more than asked for: then there are more than any route has. */
  count = 0;
  /** There is a percent sign in them. */
  hasTriplet = false;
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
    this.hasTriplet = false;
    if (path.charCodeAt(0) !== SLASH) return;
    const { length } = path;
    const most = this.#most;
    let count = 0;
    let start = 1;
    let hash = 0;
    for (let position = 1; count < most; position++) {
      const code = position < length ? path.charCodeAt(position) : QUESTION_MARK;
      // Nearly all of a path is lower case, and behind them all: one comparison tells.
      if (code > QUESTION_MARK || (code !== SLASH && code !== QUESTION_MARK)) {
        if (code === PERCENT) this.hasTriplet = true;
        hash = addToHash(hash, code);
        continue;
      }
      this.starts[count] = start;
      this.ends[count] = position;
      this.hashes[count] = hash;
      count++;
      if (code === QUESTION_MARK) break;
      start = position + 1;
      hash = 0;
    }
    this.count = count;
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

/** The first segments of a path, from its slash on. */
export function prefixOf(path: string, segments: number): string {
  return path.slice(0, endOfSegments(path, segments));
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
