import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { STRATEGY_NAMES } from '../../src/snapshot/snapshot.ts';

const PROGRAM = fileURLToPath(new URL('../../bench/clients/pick.mjs', import.meta.url));

test('the program that measures picks runs with the Fairlead that is built', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', PROGRAM, '100']);
  const names = (JSON.parse(stdout) as { strategy: string }[]).map(({ strategy }) => strategy);
  expect([...new Set(names)].toSorted()).toEqual([...STRATEGY_NAMES].toSorted());
});
