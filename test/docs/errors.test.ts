import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERRORS } from '../../src/errors.ts';
import { codeRows, readPage, sectionOf } from './markdown.ts';

const page = readPage('docs/errors.md');
const adminSection = sectionOf(page, '## The admin API');
const proxyPart = page.replace(adminSection, '');

test('the table of codes is the one of src/errors.ts', () => {
  const documented = codeRows(proxyPart).map((cells) => cells.slice(0, 6));
  const inForce = Object.entries(ERRORS).map(([code, spec]) => {
    const { status, source, retry, proxyStatus, grpc } = spec;
    return [code, String(status), source, retry, proxyStatus, grpc];
  });
  expect(documented.toSorted()).toEqual(inForce.toSorted());
});

test('each code says what to look at', () => {
  expect(codeRows(page).filter((cells) => (cells.at(-1) ?? '').length < 15)).toEqual([]);
});

test('the table of the admin API names every code that it answers with, and its status', () => {
  const folder = new URL('../../src/control/admin/', import.meta.url);
  const source = readdirSync(folder)
    .map((name) => readFileSync(new URL(name, folder), 'utf8'))
    .join('\n');
  const thrown = Array.from(
    source.matchAll(/new ProblemError\(\s*(\d{3}),\s*'(ERR_\w+)'/g),
    ([, status, code]) => `${code} ${status}`,
  );
  // Every construction is of the form that is looked for.
  expect(thrown.length).toBe(source.match(/new ProblemError\(/g)?.length);
  const documented = codeRows(adminSection).map(([code, status]) => `${code} ${status}`);
  expect(documented.toSorted()).toEqual([...new Set(thrown)].toSorted());
});
