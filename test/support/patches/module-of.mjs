/**
 * The modules of the program that is running, for preloads that change what they do. In dist/ they are parts of a few files, and a
 * change of one in build/ would change nothing there: so a process that runs those does not start.
 */
import { fileURLToPath } from 'node:url';

const build = new URL('../../../build/', import.meta.url);

const [, program = ''] = process.argv;
if (!program.startsWith(fileURLToPath(build)))
  throw new Error(`its modules can't be changed one by one: ${program}`);

/** @param {string} path without the extension, as `data/descriptors` */
export function moduleOf(path) {
  return import(new URL(`${path}.js`, build).href);
}
