import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { afterTest } from './support/after-test.ts';
import { importsOf, violations } from './support/import-rules.ts';

test('the source tree keeps the rules of the architecture', () => {
  expect(violations(fileURLToPath(new URL('../src', import.meta.url)))).toEqual([]);
});

function violationsOf(files: Readonly<Record<string, string>>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-rules-'));
  afterTest(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return violations(folder);
}

describe('the checker', () => {
  test('lets a tree pass that keeps the rules', () => {
    const files = {
      'errors.ts': '',
      'snapshot/snapshot.ts': "import type { A } from '../errors.ts';\n",
      'data/wire/head.ts':
        "import { E } from '../../errors.ts';\nimport { b } from './bytes.ts';\n",
      'data/wire/bytes.ts': '// import { connect } from "node:net";\n',
      'data/relay/relay.ts': "import { connect } from 'node:net';\nimport '../wire/head.ts';\n",
      'control/threads.ts': "new Worker(new URL('../data/relay/relay.ts', import.meta.url));\n",
      'cli/main.ts': "const { run } = await import('../control/threads.ts');\n",
      'dashboard/shapes.ts': "import type { a } from '../control/admin/answers.ts';\n",
      'control/admin/answers.ts': '',
      'index.ts': "export { A } from './control/threads.ts';\n",
    };
    expect(violationsOf(files)).toEqual([]);
  });

  test.each([
    ['data/relay/relay.ts', "import type { S } from '../../config/settings.ts';"],
    ['data/relay/relay.ts', "import { r } from '../../control/registry.ts';"],
    ['data/relay/relay.ts', "import { l } from '../../observe/logger.ts';"],
    ['data/relay/relay.ts', "import { m } from '../../cli/main.ts';"],
    ['data/relay/relay.ts', "import pino from 'pino';"],
    ['data/wire/head.ts', "import { connect } from 'node:net';"],
    ['data/wire/head.ts', "import type { S } from '../../snapshot/snapshot.ts';"],
    ['data/wire/head.ts', "import { r } from '../relay/relay.ts';"],
    ['data/stream/stream.ts', "import { e } from '../relay/exchange.ts';"],
    ['data/backend/backend.ts', "import type { E } from '../relay/exchange.ts';"],
    ['data/balance/turns.ts', "import { Backend } from '../backend/backend.ts';"],
    ['data/relay/exchange.ts', "import { l } from '../listen/listener.ts';"],
    ['data/barrier.ts', "import { s } from './stream/stream.ts';"],
    ['snapshot/snapshot.ts', "export * from '../config/settings.ts';"],
    ['config/load.ts', "const r = await import('../control/registry.ts');"],
    ['observe/logger.ts', "import {\n  r,\n} from '../control/registry.ts';"],
    ['control/registry.ts', "import '../cli/main.ts';"],
    ['control/thread.ts', "new Worker(new URL('../cli/main.js', import.meta.url));"],
    ['dashboard/shapes.ts', "import { a } from '../control/admin/answers.ts';"],
    ['dashboard/shapes.ts', "import { type a } from '../control/admin/answers.ts';"],
    ['dashboard/shapes.ts', "import type { r } from '../control/registry.ts';"],
    ['errors.ts', "import { s } from './snapshot/snapshot.ts';"],
  ])('refuses in %s: %s', (file, text) => {
    const [violation, ...others] = violationsOf({ [file]: `${text}\n` });
    expect(violation).toMatch(`${file}: must not import `);
    expect(others).toEqual([]);
  });

  test('refuses a cycle, also one of types', () => {
    const files = {
      'data/a.ts': "import type { B } from './b.ts';\n",
      'data/b.ts': "import { C } from './c.ts';\n",
      'data/c.ts': "import { A } from './a.ts';\n",
      'data/d.ts': "import { A } from './a.ts';\n",
    };
    expect(violationsOf(files)).toEqual([
      'import cycle: data/a.ts → data/b.ts → data/c.ts → data/a.ts',
    ]);
  });

  test.each([
    ['data/utils.ts', 'a file is named after the one thing it holds'],
    ['data/index.ts', 'src/index.ts is the only barrel'],
    ['data/HeadParser.ts', 'file names are kebab-case'],
    ['stuff/thing.ts', 'no room of the architecture holds this file'],
  ])('refuses the file %s', (file, reason) => {
    expect(violationsOf({ [file]: '' })).toEqual([`${file}: ${reason}`]);
  });

  test('refuses a file that is too long', () => {
    const files = { 'data/a.ts': '\n'.repeat(400), 'data/b.ts': '\n'.repeat(401) };
    expect(violationsOf(files)).toEqual(['data/b.ts: 401 lines, at most 400']);
  });

  test('reads every form of import', () => {
    const text = `
      import a from 'a';
      import * as b from "b";
      import type { c } from 'c';
      import {
        d,
        type D,
      } from 'd';
      import 'e';
      export { f } from 'f';
      export * from 'g';
      const h = await import('h');
      type I = import('i').I;
      /* import j from 'j'; */
      export const text = 'from';
    `;
    expect(importsOf(text).toSorted().join('')).toBe('abcdefghi');
  });
});
