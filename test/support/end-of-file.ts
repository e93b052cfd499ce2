/**
 * Vitest loads this file before every test file, also where files share a process and the modules in it: what a file has left open is
 * closed at its end, and what it has changed of the process is undone.
 */
import { afterAll, vi } from 'vitest';
import { cleanUpFile } from './after-test.ts';

const environment = { ...process.env };
const folder = process.cwd();

afterAll(async () => {
  await cleanUpFile();
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
  process.chdir(folder);
});
