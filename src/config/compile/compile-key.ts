/** What a policy knows a request by, from its `by` and `name`. */

import type { PoolSettings } from '../settings.ts';
import { type Report, whereIs } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';

type KeyBy = PoolSettings['hashKey']['by'];

/** What the name names, and what it may be. Compared with requests byte for byte, but for the case of header fields. */
const NAMES: Readonly<Record<Exclude<KeyBy, 'ip' | 'path'>, readonly [string, RegExp]>> = {
  // RFC 9110 §5.1 and RFC 6265 §4.1.1: both are tokens (RFC 9110 §5.6.2).
  header: ['a header field, such as X-User', /^[\w!#$%&'*+.^`|~-]+$/],
  cookie: ['a cookie, such as session', /^[\w!#$%&'*+.^`|~-]+$/],
  query: ['a query parameter as it stands in a URL, such as user', /^[!"$%'-<>-~]+$/],
};

export function compileKey(
  view: Pick<PoolView, 'isSound' | 'placeOf'>,
  report: Report,
  section: 'hash' | 'sticky' | 'rate_limit',
  { by, name }: { readonly by: KeyBy; readonly name?: string | undefined },
  option: 'name' | 'cookie' = 'name',
): PoolSettings['hashKey'] {
  const path = [section, option] as const;
  if (!view.isSound(section)) return { by, name: '' };
  if (by === 'ip' || by === 'path') {
    if (name !== undefined) {
      const where = whereIs(view, [section, 'by']);
      report.problem(path, `has no meaning by ${by}${where}: leave it out`);
    }
    return { by, name: '' };
  }
  const [what, pattern] = NAMES[by];
  if (name === undefined) {
    report.problem(path, `is missing: the name of ${what}`, [section, 'by']);
    return { by, name: '' };
  }
  if (!pattern.test(name)) {
    report.problem(path, `must be the name of ${what}, not ${JSON.stringify(name)}`);
  }
  return { by, name: by === 'header' ? name.toLowerCase() : name };
}
