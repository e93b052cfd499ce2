/** The hints of the admin API speak of calls. Who used a command wants to hear of commands and flags. */

/** No command makes such a call, unless the instance knows others. */
const OTHER_VERSION =
  'the instance is of another version than this command: compare fairlead --version with its log line "listening"';

const HINTS: ReadonlyMap<string, string> = new Map([
  ['ERR_UNKNOWN_BACKEND', 'fairlead status lists them'],
  ['ERR_DUPLICATE_BACKEND', 'fairlead weight, enable, disable and drain change it'],
  ['ERR_UNAUTHORIZED', 'give it with --token TOKEN, FAIRLEAD_ADMIN_TOKEN or --config FILE'],
  [
    'ERR_OPERATOR_NEEDED',
    'give the token of an operator with --token TOKEN or FAIRLEAD_ADMIN_TOKEN',
  ],
  [
    'ERR_FOREIGN_HOST',
    'name it as --admin http://127.0.0.1:PORT, or set admin.host or admin.token',
  ],
  ['ERR_UNKNOWN_PATH', '--admin is the address alone, such as http://127.0.0.1:9000'],
  ['ERR_INVALID_URL', 'for example fairlead add http://localhost:3001'],
  ['ERR_RESTART_NEEDED', 'fairlead upgrade does that without a gap'],
  ['ERR_STATE_NOT_SAVED', 'with --not-kept the change is made, and not kept'],
  ['ERR_GENERATION_CHANGED', 'see fairlead status, and try again'],
  ['ERR_NOT_EVERYWHERE', 'fairlead cluster status shows how far each instance is'],
  ['ERR_OUTCOME_UNKNOWN', 'see with fairlead status, once the store is back, whether it was made'],
  ['ERR_STORE_UNAVAILABLE', 'with --not-kept the change is made at this instance alone'],
  ['ERR_UNKNOWN_PARAMETER', OTHER_VERSION],
  ['ERR_UNKNOWN_KEY', OTHER_VERSION],
  ['ERR_UNKNOWN_POOL', 'fairlead status lists them'],
  ['ERR_NOT_AN_OBJECT', OTHER_VERSION],
  ['ERR_METHOD_NOT_ALLOWED', OTHER_VERSION],
]);

/** @param code of the problem details. @param hint what the API would say. */
export function commandHint(code: unknown, hint: unknown): string | undefined {
  const own = typeof code === 'string' ? HINTS.get(code) : undefined;
  return own ?? (typeof hint === 'string' ? hint : undefined);
}
