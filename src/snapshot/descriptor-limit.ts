/** How many file descriptors this process may have open. Linux tells; elsewhere nobody knows. */
export const LIMITS_FILE = '/proc/self/limits';

/** The soft limit, which Node has raised to the hard one at its start. Undefined: none. @param limits text of that file */
export function descriptorLimitOf(limits: string): number | undefined {
  const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}
