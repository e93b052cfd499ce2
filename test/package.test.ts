import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly resolved?: string;
}

const lockFile = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8');
const packages = Object.entries(
  (JSON.parse(lockFile) as { packages: Record<string, LockedPackage> }).packages,
);

test('what users install with Fairlead is fewer than 20 packages', () => {
  const atRunTime = packages
    .filter(([path, { dev, devOptional }]) => path !== '' && dev !== true && devOptional !== true)
    .map(([path]) => path);
  expect(atRunTime).toContain('node_modules/zod');
  expect(atRunTime.length).toBeLessThan(20);
});

test('the lock file names no download addresses', () => {
  expect(packages.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  expect(lockFile).not.toContain('.tgz');
});
