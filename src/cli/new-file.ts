/** A file that a command makes: whole or not at all, and never in the place of another one unless that was asked for. */
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { describeFileError } from '../config/read/config-file.ts';
import { STOP_SIGNALS } from './terminal/held-signals.ts';

function goOn(): void {}

/** @returns what is wrong; then nothing was written, and nothing is left behind. */
export function writeNewFile(file: string, text: string, mayReplace: boolean): string | undefined {
  const own = `${file}.${process.pid}.new`;
  // Ctrl-C in the middle of it would leave a part behind; that it is written takes no time.
  for (const signal of STOP_SIGNALS) process.on(signal, goOn);
  try {
    writeFileSync(own, text, { flag: 'wx' });
    // A link is refused where the name is taken.
    if (mayReplace) renameSync(own, file);
    else linkSync(own, file);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      return `${file} is there already: --force replaces it, --output writes elsewhere`;
    }
    return `cannot write ${file}: ${describeFileError(error)}`;
  } finally {
    rmSync(own, { force: true });
    for (const signal of STOP_SIGNALS) process.off(signal, goOn);
  }
}
