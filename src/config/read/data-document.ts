/** A config that is made by code, as a document: plain data, in which nothing has a line. */

import type { Place, Problem } from '../problem.ts';
import type { ConfigDocument, DocumentResult } from './document.ts';
import { formatPath, type Path } from './layer.ts';

/** As deep as a config that means anything never is, and far from what a stack holds. */
const DEEPEST = 100;

/**
 * A copy, so that what the caller does to its object later is nothing to us. Keys with undefined are left out, as code that chooses
 * leaves them.
 * @param shown the name of the file that made it; undefined: the program that we are a part of.
 */
export function documentOfData(data: unknown, shown: string | undefined): DocumentResult {
  const place: Place = { origin: 'file', ...(shown !== undefined && { file: shown }) };
  const problems: Problem[] = [];
  const report = (path: Path, message: string): undefined => {
    problems.push({ ...place, path: formatPath(path), message });
  };
  const value = plain(data, [], report);
  if (problems.length > 0) return { ok: false, problems };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const message = 'must be a mapping of keys, such as { port: 8080 }';
    return { ok: false, problems: [{ ...place, path: '', message }] };
  }
  const document: ConfigDocument = { value: value as ConfigDocument['value'], place: () => place };
  return { ok: true, document };
}

function plain(
  value: unknown,
  path: Path,
  report: (path: Path, message: string) => undefined,
): unknown {
  if (path.length > DEEPEST) return report(path.slice(0, 1), 'holds itself, or is too deep');
  if (typeof value === 'object' && value !== null) {
    if (Array.isArray(value)) {
      return Array.from(value, (item, index) => plain(item, [...path, index], report));
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      const { name } = value.constructor ?? {};
      return report(path, `must be plain data, not a ${name === '' ? 'class' : name}`);
    }
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return Object.fromEntries(
      entries.map(([key, item]) => [key, plain(item, [...path, key], report)]),
    );
  }
  const isData = typeof value !== 'function' && typeof value !== 'symbol';
  return isData ? value : report(path, `must be plain data, not a ${typeof value}`);
}
