import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { describeSettingFlags } from '../../src/cli/settings-flags.ts';
import { type JsonSchemaNode, jsonSchema } from '../../src/config/schema/schema.ts';
import { readPage } from './markdown.ts';

const page = readPage('docs/configuration.md');

test('docs/configuration.md is what `npm run docs` writes', () => {
  const script = fileURLToPath(new URL('../../scripts/config-docs.mjs', import.meta.url));
  const run = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
});

/** A policy may be a mapping or false. */
function mappingOf(node: JsonSchemaNode): JsonSchemaNode {
  return node.anyOf?.find(({ type }) => type === 'object') ?? node;
}

function keysOf(node: JsonSchemaNode, path = ''): string[] {
  const items =
    node.items && [node.items, ...(node.items.anyOf ?? [])].find(({ type }) => type === 'object');
  const named = mappingOf(node).additionalProperties;
  // Of what has a name, the keys; what is below them is as at the top level.
  if (named) return Object.keys(named.properties ?? {}).map((key) => `${path}*.${key}`);
  return [
    ...Object.entries(mappingOf(node).properties ?? {}).flatMap(([key, below]) => [
      `${path}${key}`,
      ...keysOf(below, `${path}${key}.`),
    ]),
    ...(items === undefined ? [] : keysOf(items, `${path.slice(0, -1)}[].`)),
  ];
}

test('every key of the schema has its entry, and no other has one', () => {
  const entries = Array.from(page.matchAll(/^(?:### |\| )`([^`]+)`/gm), ([, key]) => key);
  expect(entries.toSorted()).toEqual(keysOf(jsonSchema()).toSorted());
});

test('every variable and every flag is named', () => {
  const source = readFileSync(
    new URL('../../src/config/read/environment.ts', import.meta.url),
    'utf8',
  );
  const variables = Array.from(source.matchAll(/'([A-Z][A-Z_]+[A-Z])'/g), ([, name]) => name ?? '');
  const flags = Array.from(
    describeSettingFlags().matchAll(/^ {2}(--[\w-]+)/gm),
    ([, name]) => name ?? '',
  );
  expect(variables.length).toBeGreaterThan(4);
  expect(flags.length).toBeGreaterThan(10);
  const missing = [...variables, ...flags].filter((name) => !page.includes(`\`${name}`));
  expect(missing).toEqual([]);
});
