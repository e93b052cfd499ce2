/** What all pages promise: links and files that exist, examples that are valid. */
import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { validateConfigText } from '../../src/config/load.ts';
import { codeBlocks, PAGES, readPage } from './markdown.ts';

const root = new URL('../../', import.meta.url);

/** As GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return Array.from(readPage(page).matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test.each(PAGES)('the links of %s lead somewhere', (page) => {
  const prose = readPage(page).replaceAll(/^```[^]*?^```$/gm, '');
  const links = Array.from(prose.matchAll(/\]\(([^)\s]+)\)/g), ([, link = '']) => link);
  const broken = links.filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : posix.join(posix.dirname(page), path);
    if (!existsSync(new URL(target, root))) return true;
    return anchor !== undefined && !anchorsOf(target).includes(anchor);
  });
  expect(broken).toEqual([]);
});

test.each(PAGES)('the files that %s names are there', (page) => {
  const named = Array.from(
    readPage(page).matchAll(/`((?:src|test|bench|scripts|docs|examples)\/[\w./-]+)`/g),
    ([, path = '']) => path,
  );
  const missing = named.filter((path) => !existsSync(new URL(path, root)));
  expect(missing).toEqual([]);
});

const configs = PAGES.flatMap((page) =>
  codeBlocks(readPage(page))
    .filter(({ language }) => language === 'yaml')
    .map(({ code }) => ({ page, code })),
);

test.each(configs)('an example of $page is a valid config: $code', ({ code }) => {
  const result = validateConfigText(code, 'example.yaml', {
    flags: { values: [] },
    env: {},
    cwd: '.',
  });
  expect(result).toMatchObject({ ok: true });
});

const documents = PAGES.flatMap((page) =>
  codeBlocks(readPage(page))
    .filter(({ language }) => language === 'json')
    .map(({ code }) => ({ page, code })),
);

test.each(documents)('an answer in $page is JSON', ({ code }) => {
  expect(JSON.parse(code)).toBeTypeOf('object');
});
