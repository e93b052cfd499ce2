/** A cluster that is not configured costs nothing: nothing of it is loaded. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const source = fileURLToPath(new URL('../../../src/', import.meta.url));

/** What is loaded with a module, whether it is needed or not. */
function loadedWith(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  const code = readFileSync(file, 'utf8').replaceAll(/\/\*[^]*?\*\//g, '');
  const imports = code.matchAll(/^(?:import|export)\s(?!type\b)[^'";]*?from\s'(\.[^']+)';$/gm);
  for (const [, path = ''] of imports) {
    const next = join(dirname(file), path);
    if (existsSync(next)) loadedWith(next, found);
  }
  return found;
}

test.each(['control/fairlead.ts', 'cli/main.ts', 'cli/run.ts', 'index.ts', 'data/worker.ts'])(
  '%s loads nothing of a cluster',
  (entry) => {
    const loaded = [...loadedWith(join(source, entry))].map((file) => file.slice(source.length));
    expect(loaded).toContain(entry);
    expect(loaded.filter((file) => file.startsWith('control/cluster/'))).toEqual([]);
  },
);

test('what follows a cluster does', () => {
  const loaded = loadedWith(join(source, 'control/cluster/follow-cluster.ts'));
  expect([...loaded].filter((file) => file.includes('/cluster/etcd/')).length).toBeGreaterThan(2);
});
