/** Programs of the system that some tests need. `npm test` installs them where it may, and says which are missing. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export function hasTool(
  name: 'ab' | 'hey' | 'openssl' | 'curl' | 'script' | 'git' | 'h2load',
): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
