/** Vitest loads this file before every test file, also where files share a process and the modules in it. */
import { afterAll } from 'vitest';
import { cleanUpFile } from './after-test.ts';

afterAll(cleanUpFile);
