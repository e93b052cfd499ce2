/** Who may ask: where that can't be said in the same way, nobody may until somebody has looked at it. */
import type { Report } from './report.ts';
import type { Scope } from './scope.ts';
import type { Yaml } from './upstreams.ts';

const ALL = ['0.0.0.0/0', '::/0'];

/** Of a route that nobody may ask: laid over its terms, it takes away what is allowed. */
export const CLOSED: Yaml = { allow: undefined, deny: ALL };

/** They ask for something that Fairlead has no way to check. */
const CHECKS = ['auth_basic', 'auth_request', 'auth_jwt', 'secure_link', 'valid_referers'];

/** @param scopes all that a request goes through: who may not pass one of them may not ask. */
export function accessOf(scopes: readonly Scope[], report: Report): Yaml {
  const all = scopes.map((scope) => accessIn(scope, report));
  const texts = new Set(all.map((one) => JSON.stringify(one)));
  texts.delete('{}');
  if (texts.size < 2) return all.find((one) => Object.keys(one).length > 0) ?? {};
  const rule = scopes.at(-1)?.all('allow', 'deny')[0];
  if (rule !== undefined)
    report.closed(rule, 'rules of two locations, one behind the other: write them anew');
  return CLOSED;
}

function accessIn(scope: Scope, report: Report): Yaml {
  for (const name of CHECKS) {
    const check = scope.find(name);
    if (check === undefined || check.args[0] === 'off') continue;
    const hint =
      name === 'auth_basic'
        ? 'the hashes of its file are of another kind: basic_auth with those of `fairlead hash-password`, and this deny taken away, open it again'
        : 'has no counterpart';
    report.closed(check, hint);
    return { deny: ALL };
  }
  const rules = scope.all('allow', 'deny');
  const [first] = rules;
  if (first === undefined) return {};
  const flat = rules.map(({ name, args: [what = ''] }) => ({ name, what }));
  const last = flat.at(-1);
  const [heads, allowed] = [flat.filter(({ what }) => what !== 'all'), last?.name === 'allow'];
  const isLastAll = last?.what === 'all' && heads.length === flat.length - 1;
  const denied = heads.filter(({ name }) => name === 'deny').map(({ what }) => what);
  const admitted = heads.filter(({ name }) => name === 'allow').map(({ what }) => what);
  // The first rule that fits decides there, and here deny before allow: the same while no allow stands before a deny.
  const isOrdered = heads.findLastIndex(({ name }) => name === 'deny') < firstAllow(heads);
  const isPlain = heads.every(({ what }) => /^[\d.:a-f/]+$/i.test(what));
  if (
    (isOrdered || admitted.length === 0) &&
    isPlain &&
    (isLastAll || heads.length === flat.length)
  ) {
    if (isLastAll && !allowed)
      return { ...(denied.length > 0 && { deny: denied }), ...closedTo(admitted) };
    return denied.length === 0 ? {} : { deny: denied };
  }
  report.closed(first, 'rules in this order can not be said by allow and deny: write them anew');
  return { deny: ALL };
}

function firstAllow(rules: readonly { readonly name: string }[]): number {
  const index = rules.findIndex(({ name }) => name === 'allow');
  return index === -1 ? rules.length : index;
}

function closedTo(admitted: readonly string[]): Yaml {
  return admitted.length === 0 ? { deny: ALL } : { allow: admitted };
}
