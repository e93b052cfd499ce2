/** Files that a configuration names: whatever is in their place, reading them takes no time to speak of, and no memory. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { describeFileError } from './config-file.ts';

/** @returns all of it, or what is wrong, with the file's name. @param most bytes, a whole number of KiB */
export function readNamedFile(
  file: string,
  most: number,
): { readonly bytes: Buffer } | { readonly fault: string } {
  try {
    // To open a pipe could take for ever, and to open a device could do something.
    const fault = faultOf(file, statSync(file), most);
    return fault === null ? readOpened(file, most) : { fault };
  } catch (error) {
    return { fault: `cannot read ${file}: ${describeFileError(error)}` };
  }
}

/** It may be another by now than it was. */
function readOpened(
  file: string,
  most: number,
): { readonly bytes: Buffer } | { readonly fault: string } {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(descriptor);
    const fault = faultOf(file, stat, most);
    if (fault !== null) return { fault };
    // One more, so that it is seen where it grows. Files of /proc say that they are empty.
    const room = Buffer.allocUnsafe(stat.size === 0 ? most + 1 : stat.size + 1);
    let length = 0;
    while (length < room.length) {
      const read = readSync(descriptor, room, length, room.length - length, null);
      if (read === 0) return { bytes: room.subarray(0, length) };
      length += read;
    }
    return { fault: length > most ? tooLarge(file, most) : `${file} is growing` };
  } finally {
    closeSync(descriptor);
  }
}

function faultOf(
  file: string,
  stat: { readonly size: number; isFile(): boolean; isDirectory(): boolean },
  most: number,
): string | null {
  if (stat.isDirectory()) return `cannot read ${file}: it is a folder`;
  if (!stat.isFile()) return `${file} is no file`;
  return stat.size > most ? tooLarge(file, most) : null;
}

function tooLarge(file: string, most: number): string {
  const kib = most / 1024;
  return `${file} is larger than ${kib % 1024 === 0 ? `${kib / 1024} MiB` : `${kib} KiB`}`;
}
