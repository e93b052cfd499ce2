import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
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

test('the lock file names the packages of every platform, or `npm ci` refuses it', () => {
  const locked = new Set(packages.map(([path]) => path));
  const optional = packages.flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).map((name) => ({ path, name })),
  );
  const missing = optional.filter(
    ({ path, name }) =>
      !locked.has(`${path}/node_modules/${name}`) && !locked.has(`node_modules/${name}`),
  );
  expect(optional.length).toBeGreaterThan(0);
  expect(missing).toEqual([]);
});
