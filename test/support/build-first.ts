/**
 * Behaviour tests run dist/cli/main.js, a few of them modules of build/: compile first when a source is newer. `scripts/test.mjs` has built already.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';

const root = new URL('../../', import.meta.url);

export default function buildFirst(): void {
  if (process.env['TESTS_ARE_BUILT'] === '1') return;
  const compiled = [...times('build', '.js'), ...times('dist/cli', '.js')];
  if (compiled.length > 0 && Math.max(...times('src', '.ts')) < Math.min(...compiled)) return;
  const build = spawnSync(
    process.execPath,
    [new URL('scripts/build.mjs', root).pathname, '--keep'],
    {
      encoding: 'utf8',
    },
  );
  // Type errors are the type stage's business; the compiler has written its output all the same.
  if (build.status !== 0) process.stderr.write(`The build says:\n${build.stdout}${build.stderr}\n`);
}

function times(folder: string, extension: string): number[] {
  const parent = new URL(`${folder}/`, root);
  if (!existsSync(parent)) return [];
  return readdirSync(parent, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .map((name) => statSync(new URL(name, parent)).mtimeMs);
}
