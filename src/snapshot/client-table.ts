/** To be written: what all data threads know of single clients, in shared memory. */
import type { ClientTables } from './messages.ts';

export function createClientTables(): ClientTables {
  const none = () => new SharedArrayBuffer(8);
  return { sessions: none(), rates: none(), connections: none() };
}
