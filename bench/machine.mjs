/** What a reader must know of the machine to place the figures. Nothing that tells whose it is. */
import { cpus, release, totalmem, type } from 'node:os';

/** @param {string} node version of the Node that ran Fairlead */
export function machineFacts(node) {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    // A kernel's local name can tell where a machine stands: the numbers are enough.
    system: `${type()} ${/^\d+(\.\d+)*/.exec(release())?.[0] ?? release()}`,
    node,
  };
}
