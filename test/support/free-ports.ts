import { freePort } from './free-port.ts';

const TRIES = 5;
/** What startFairlead says of a port that somebody has taken meanwhile: exit code 3. */
const IN_USE = /did not start \(3\)/;

/** Starts something on ports that nobody has; on others once more, where somebody was quicker. */
export async function onFreePorts<T>(
  count: number,
  start: (ports: readonly number[]) => Promise<T>,
): Promise<T> {
  for (let left = TRIES; ; left--) {
    const ports: number[] = [];
    while (ports.length < count) ports.push(await freePort());
    try {
      return await start(ports);
    } catch (error) {
      if (left === 1 || !IN_USE.test(String(error))) throw error;
    }
  }
}
