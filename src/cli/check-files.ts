/** What a start writes to, beside what a config is read from: whether it could. Nothing is made, or changed. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { placeOfSource } from '../config/effective/value-place.ts';
import type { Problem } from '../config/problem.ts';
import type { Settings } from '../config/settings.ts';
import { tryAppending } from '../observe/log-writer.ts';
import type { Loaded } from './with-settings.ts';

/** What a start refuses. */
export function unusableFiles(loaded: Loaded): Problem[] {
  const { accessLog } = loaded.settings;
  if (accessLog === false || accessLog.target === 'stdout' || !('file' in accessLog.target)) {
    return [];
  }
  const { file } = accessLog.target;
  const reason = failureOf(() => tryAppending(file));
  if (reason === undefined) return [];
  const path = 'access_log';
  const place = placeOfSource(loaded.origins.get(path));
  return [{ ...place, path, message: `${file} can't be opened: ${reason}` }];
}

/** What a start goes on without. */
export function notesOnStateFile({ stateFile }: Settings): string[] {
  if (stateFile === undefined) return [];
  const reason = failureOf(() => {
    const isThere = statSync(stateFile, { throwIfNoEntry: false }) !== undefined;
    accessSync(isThere ? stateFile : dirname(stateFile), constants.W_OK);
  });
  if (reason === undefined) return [];
  return [
    `state_file: ${stateFile} can't be written (${reason}): changes through the admin API would be refused`,
  ];
}

function failureOf(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
