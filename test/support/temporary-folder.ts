import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterTest } from './after-test.ts';

/** A new folder, gone when the test is over. @param what it is for: a part of its name. */
export function temporaryFolder(what = 'test', whenOver: typeof afterTest = afterTest): string {
  const folder = mkdtempSync(join(tmpdir(), `fairlead-${what}-`));
  whenOver(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
