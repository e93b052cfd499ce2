import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { codeRows, readPage, sectionOf } from './markdown.ts';

test('the tables of messages name every message between the planes', () => {
  const kinds = ['messages.ts', 'counter-engine.ts', 'shared-sessions.ts'].flatMap((file) => {
    const source = readFileSync(new URL(`../../src/snapshot/${file}`, import.meta.url), 'utf8');
    return Array.from(source.matchAll(/readonly kind: '([a-z-]+)'/g), ([, kind]) => kind ?? '');
  });
  const contract = sectionOf(readPage('docs/architecture.md'), '### The contract: `src/snapshot/`');
  const documented = codeRows(contract).flatMap(([names = '']) => names.split(', '));
  expect(documented.toSorted()).toEqual(kinds.toSorted());
});
