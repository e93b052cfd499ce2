/** Whose line it is. */
import { DEFAULT_POOL } from '../config/settings.ts';
import { type Logger, withFields } from '../observe/logger.ts';

/** For lines about one pool; of `default` it goes without saying, as where the config knows no other. */
export function poolLog(log: Logger, pool: string): Logger {
  return pool === DEFAULT_POOL ? log : withFields(log, { pool });
}
