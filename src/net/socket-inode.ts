import { readlinkSync } from 'node:fs';

/**
 * By what the system knows a socket, whichever descriptors lead to it (proc(5)). Empty: it does not say (not on Linux), or
 * the descriptor leads to no socket.
 */
export function socketInode(descriptor: number): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`))?.[1] ?? '';
  } catch {
    return '';
  }
}
