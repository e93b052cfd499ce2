/**
 * Everything that a test opens is closed again, whatever the test's end: what is opened in a test right after it,
 * what is opened in `beforeAll` after the last test of the file. Vitest loads this file before every test file.
 */
import { afterAll, onTestFinished } from 'vitest';

type CleanUp = () => void | Promise<void>;

const atEndOfFile: CleanUp[] = [];

export function afterTest(cleanUp: CleanUp): void {
  try {
    onTestFinished(cleanUp);
  } catch {
    // Outside a test, Vitest refuses the registration.
    atEndOfFile.push(cleanUp);
  }
}

afterAll(async () => {
  for (const cleanUp of atEndOfFile.splice(0).toReversed()) await cleanUp();
});
