/** The bench has packages of its own, which are nobody else's. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

test('what the bench compares with is no dependency of Fairlead', () => {
  const compared = ['@fastify/http-proxy', 'fast-proxy', 'fastify', 'http-proxy', 'httpxy'];
  const { dependencies } = JSON.parse(read('bench/package.json')) as { dependencies: object };
  expect(Object.keys(dependencies)).toEqual([...compared, 'ws']);
  const locked = JSON.parse(read('package-lock.json')) as { packages: object };
  expect(compared.filter((name) => Object.hasOwn(locked.packages, `node_modules/${name}`))).toEqual(
    [],
  );
});

test('the lock file of the bench names no download addresses', () => {
  expect(read('bench/package-lock.json')).not.toMatch(/"resolved"|\.tgz/);
});
