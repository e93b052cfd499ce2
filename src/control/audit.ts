/** Who changed what: for the lines of the log, and so for the events. */

/** Who has called the admin API. Fields that nobody knows are left out. */
export interface Actor {
  readonly address?: string;
  /** It is the program that Fairlead is a part of. */
  readonly program?: true;
  /** As the program that called describes itself: a claim. */
  readonly agent?: string;
  /** The name of the token that the call has shown; `admin.token`: that of the config. */
  readonly token?: string;
}

export type Values = Readonly<Record<string, unknown>>;

/** The values that differ, as they were and as they are. Empty where none does. */
export function beforeAndAfter(
  was: Values,
  is: Values,
): { readonly before?: Values; readonly after?: Values } {
  const changed = Object.keys(is).filter((key) => was[key] !== is[key]);
  if (changed.length === 0) return {};
  const pick = (values: Values): Values =>
    Object.fromEntries(changed.map((key) => [key, values[key]]));
  return { before: pick(was), after: pick(is) };
}
