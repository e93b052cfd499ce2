/** The pages of a configuration for errors: their files are read here, each of them once. */
import path from 'node:path';
import { ERRORS } from '../../errors.ts';
import type { ErrorPage } from '../../snapshot/route-answer.ts';
import type { MergedConfig } from '../merge.ts';
import { formatPlace, type Problem } from '../problem.ts';
import { formatPath, type Path } from '../read/layer.ts';
import { readNamedFile } from '../read/named-file.ts';
import { MOST_PAGE_BYTES, type WrittenPages } from '../schema/error-page-schema.ts';
import type { ErrorPageSettings } from '../settings.ts';

/** Of all pages and answers together: every data thread keeps them. */
const MOST_BYTES = 16 * 1024 * 1024;

const TYPES: Readonly<Record<string, string>> = {
  '.txt': 'text/plain; charset=utf-8',
  '.json': 'application/json',
  '.xml': 'application/xml',
  '.svg': 'image/svg+xml',
};
const HTML = 'text/html; charset=utf-8';
const PLAIN = 'text/plain; charset=utf-8';

/** Those that Fairlead answers with. */
const STATUSES: ReadonlySet<string> = new Set(
  Object.values(ERRORS)
    .map(({ status }) => status)
    .filter((status) => status !== 499)
    .map(String),
);

export class ErrorPageReader {
  readonly #merged: MergedConfig;
  readonly #resolve: (text: string, keys: Path) => string;
  readonly #problems: Problem[];
  readonly #notes: string[];
  /** By file and type: the same object wherever it is used, so that it is handed to the data threads once. */
  readonly #pages = new Map<string, ErrorPage>();
  #bytes = 0;

  constructor(
    merged: MergedConfig,
    resolve: (text: string, keys: Path) => string,
    problems: Problem[],
    notes: string[],
  ) {
    this.#merged = merged;
    this.#resolve = resolve;
    this.#problems = problems;
    this.#notes = notes;
  }

  /** @param at where they stand */
  read(written: WrittenPages, at: Path): readonly ErrorPageSettings[] {
    return Object.entries(written).flatMap(([status, { file, text, content_type: type }]) => {
      const place = [...at, status];
      this.#noteIdle(status, place);
      if (file === undefined) {
        const page = { contentType: type ?? PLAIN, body: bytesOf(text ?? '') };
        this.#count(page.body.length, place);
        return { status, file, contentType: type, page };
      }
      const resolved = this.#resolve(file, place);
      const page = this.#pageOf(resolved, type ?? typeOf(resolved), place);
      return page === null ? [] : { status, file: resolved, contentType: type, page };
    });
  }

  /** Answers with bodies of their own count as well. */
  count(bytes: number, at: Path): void {
    this.#count(bytes, at);
  }

  #pageOf(file: string, contentType: string, at: Path): ErrorPage | null {
    const key = JSON.stringify([file, contentType]);
    const known = this.#pages.get(key);
    if (known !== undefined) return known;
    const read = readNamedFile(file, MOST_PAGE_BYTES);
    if ('fault' in read) {
      this.#report(at, read.fault);
      return null;
    }
    const page = { contentType, body: read.bytes.toString('latin1') };
    this.#pages.set(key, page);
    this.#count(page.body.length, at);
    return page;
  }

  #count(bytes: number, at: Path): void {
    const before = this.#bytes;
    this.#bytes += bytes;
    if (before > MOST_BYTES || this.#bytes <= MOST_BYTES) return;
    this.#report(
      at,
      `is one too many: pages and bodies have more than ${MOST_BYTES} bytes together`,
    );
  }

  #noteIdle(status: string, at: Path): void {
    if (status.endsWith('xx') || STATUSES.has(status)) return;
    const where = formatPlace(this.#merged.placeOf(at, 'key'));
    this.#notes.push(
      `${formatPath(at)} (${where}) has no effect: Fairlead itself never answers ${status}`,
    );
  }

  #report(at: Path, message: string): void {
    this.#problems.push({ ...this.#merged.placeOf(at), path: formatPath(at), message });
  }
}

function typeOf(file: string): string {
  return TYPES[path.extname(file).toLowerCase()] ?? HTML;
}

/** In UTF-8, a character for each byte. */
export function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
