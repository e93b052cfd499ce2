/** The hints of the admin API speak of calls. Who used a command wants to hear of commands and flags. */

const HINTS: ReadonlyMap<string, string> = new Map([
  ['ERR_UNKNOWN_BACKEND', 'fairlead status lists them'],
  ['ERR_DUPLICATE_BACKEND', 'fairlead weight, enable, disable and drain change it'],
  ['ERR_UNAUTHORIZED', 'give it with --token TOKEN, FAIRLEAD_ADMIN_TOKEN or --config FILE'],
  [
    'ERR_FOREIGN_HOST',
    'name it as --admin http://127.0.0.1:PORT, or set admin.host or admin.token',
  ],
  ['ERR_UNKNOWN_PATH', '--admin is the address alone, such as http://127.0.0.1:9000'],
  ['ERR_INVALID_URL', 'for example fairlead add http://localhost:3001'],
  ['ERR_RESTART_NEEDED', 'stop it and start it again'],
]);

/** @param code of the problem details. @param hint what the API would say. */
export function commandHint(code: unknown, hint: unknown): string | undefined {
  const own = typeof code === 'string' ? HINTS.get(code) : undefined;
  return own ?? (typeof hint === 'string' ? hint : undefined);
}
