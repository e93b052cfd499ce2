/** The bench has packages of its own, which are nobody else's. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

test('what the bench compares with is no dependency of Fairlead', () => {
  const compared = ['@fastify/http-proxy', 'fast-proxy', 'fastify', 'http-proxy', 'httpxy'];
  const { dependencies } = JSON.parse(read('bench/package.json')) as { dependencies: object };
  expect(Object.keys(dependencies)).toEqual([...compared, 'ws']);
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Readonly<Record<string, { readonly dev?: boolean } | undefined>>;
  };
  // Some are tried behind Fairlead as a library, by the tests: who installs it gets none.
  const installed = compared.filter((name) => {
    const locked = packages[`node_modules/${name}`];
    return locked !== undefined && locked.dev !== true;
  });
  expect(installed).toEqual([]);
});

test('the lock file of the bench names no download addresses', () => {
  expect(read('bench/package-lock.json')).not.toMatch(/"resolved"|\.tgz/);
});
