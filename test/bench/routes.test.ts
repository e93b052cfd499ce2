import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../bench/clients/routes.mjs', import.meta.url));

test('the program that measures look-ups of routes runs with the Fairlead that is built', async () => {
  // It fails where a route is found that is not the right one.
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', PROGRAM, '100']);
  const tables = JSON.parse(stdout) as { hosts: number; routes: number; ns: number }[];
  expect(tables.map(({ hosts, routes }) => [hosts, routes])).toEqual([
    [1, 10],
    [1, 1_000],
    [1_000, 10],
  ]);
  expect(tables.every(({ ns }) => ns > 0)).toBe(true);
});
