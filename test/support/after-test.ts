/**
 * Everything that a test opens is closed again, whatever the test's end: what is opened in a test right after it,
 * what is opened in `beforeAll` after the last test of the file. end-of-file.ts sees to the latter.
 */
import { onTestFinished } from 'vitest';

type CleanUp = () => void | Promise<void>;

const atEndOfFile: CleanUp[] = [];

export function afterTest(cleanUp: CleanUp): void {
  try {
    onTestFinished(cleanUp);
  } catch {
    // Outside a test, Vitest refuses the registration.
    afterFile(cleanUp);
  }
}

/** For what a test opens and the tests behind it use as well. */
export function afterFile(cleanUp: CleanUp): void {
  atEndOfFile.push(cleanUp);
}

export async function cleanUpFile(): Promise<void> {
  for (const cleanUp of atEndOfFile.splice(0).toReversed()) await cleanUp();
}
