/**
 * `if` and `limit_except` that refuse requests. Without them more would be let in, so they are routes of their own where that says the
 * same, and otherwise the route is closed.
 */
import { answerOf } from './answers.ts';
import type { Directive } from './nginx-syntax.ts';
import type { Report } from './report.ts';
import { Scope } from './scope.ts';
import type { Yaml } from './upstreams.ts';

export type Refusal =
  | { readonly kind: 'none' | 'closed' }
  /** Of requests for which `match` holds, or does not, all are answered so. */
  | { readonly kind: 'fork'; readonly fork: Fork; readonly answer: Yaml };

interface Fork {
  /** What a route asks for. */
  readonly match: Yaml;
  readonly isForOthers: boolean;
}

interface Guard {
  readonly directive: Directive;
  readonly scope: Scope;
}

/** @param scopes all that a request goes through: blocks in them inherit none of it. */
export function refusalOf(scopes: readonly Scope[], report: Report): Refusal {
  const guards = scopes.flatMap((scope) => guardsIn(scope));
  const [first, ...others] = guards;
  if (first === undefined) return { kind: 'none' };
  // Of several, what each leaves to the next would have to be said.
  const forked = others.length === 0 ? forkOf(first, report) : undefined;
  if (forked !== undefined) {
    report.carriedOver(first.directive);
    return forked;
  }
  for (const { directive } of guards) {
    report.closed(
      directive,
      'whom this refuses can not be told apart in the same way: write routes by host, method, header and query for whom it lets in, and take ' +
        'this deny away',
    );
  }
  return { kind: 'closed' };
}

/** A route, and what there must be beside it. */
export function routesBeside(terms: Yaml, refusal: Refusal): readonly Yaml[] {
  if (refusal.kind !== 'fork') return [terms];
  const { fork, answer } = refusal;
  return fork.isForOthers
    ? [{ ...fork.match, ...terms }, answer]
    : [{ ...fork.match, ...answer }, terms];
}

/** What stands behind a `return` is never looked at. */
function guardsIn(scope: Scope): Guard[] {
  const end = scope.directives.findIndex(({ name }) => name === 'return');
  const looked = end === -1 ? scope.directives : scope.directives.slice(0, end);
  return looked
    .filter(({ name, block }) => name === 'limit_except' || (name === 'if' && isRefusing(block)))
    .map((directive) => ({ directive, scope }));
}

function isRefusing(block: readonly Directive[] = []): boolean {
  return block.some(
    ({ name, args: [first = ''] }) =>
      name === 'deny' || (name === 'return' && /^4\d\d$/.test(first)),
  );
}

function forkOf({ directive, scope }: Guard, report: Report): Refusal | undefined {
  const { name, args, block = [] } = directive;
  const [first, ...others] = block;
  if (first === undefined || others.length > 0) return undefined;
  if (name === 'limit_except') {
    if (first.name !== 'deny' || first.args[0] !== 'all') return undefined;
    // There, HEAD is as GET.
    const method = [...new Set(args.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one])))];
    const fork = { match: { method }, isForOthers: true };
    return { kind: 'fork', fork, answer: { respond: { status: 403 } } };
  }
  const fork = conditionOf(args);
  if (first.name !== 'return' || fork === undefined) return undefined;
  if (first.args[0] === '444') {
    report.differs(first, 'nginx closes the connection without a word, Fairlead answers 403');
    return { kind: 'fork', fork, answer: { respond: { status: 403 } } };
  }
  const answer = answerOf(first, new Scope(block, scope), report);
  return answer === undefined ? undefined : { kind: 'fork', fork, answer };
}

/** Those that a route does not see as the client has sent them, or that nginx puts together. */
const OTHERWISE =
  /^(host|connection|upgrade|te|trailer|transfer-encoding|keep-alive|proxy-.*|content-length|expect|via|cookie|forwarded|x-forwarded-.*|x-real-ip|x-request-id)$/;

/** `($request_method !~ ^(GET|POST)$)`, `($http_x_key = "z")`. */
function conditionOf(args: readonly string[]): Fork | undefined {
  const words = [...args];
  words[0] = words[0]?.replace(/^\(/, '') ?? '';
  if (words[0] === '') words.shift();
  const last = words.pop()?.replace(/\)$/, '') ?? '';
  if (last !== '' || words.length < 3) words.push(last);
  const [variable = '', operator = '', value = '', ...more] = words;
  if (more.length > 0) return undefined;
  const isForOthers = operator.startsWith('!');
  const plainOperator = operator.replace(/^!/, '');
  if (variable === '$request_method') {
    const method = methodsOf(plainOperator, value);
    return method === undefined ? undefined : { match: { method }, isForOthers };
  }
  const name = /^\$http_(\w+)$/.exec(variable)?.[1]?.replaceAll('_', '-') ?? '';
  const isText = /^[\x21-\x23\x25-\x7e]+( [\x21-\x23\x25-\x7e]+)*$/.test(value);
  if (name === '' || OTHERWISE.test(name) || plainOperator !== '=' || !isText) return undefined;
  return { match: { headers: { [name]: value } }, isForOthers };
}

function methodsOf(operator: string, value: string): string[] | undefined {
  if (operator === '=') return /^[A-Z]+$/.test(value) ? [value] : undefined;
  const [, several, one] = /^\^(?:\((?:\?:)?([A-Z]+(?:\|[A-Z]+)*)\)|([A-Z]+))\$$/.exec(value) ?? [];
  const text = several ?? one;
  return operator !== '~' || text === undefined ? undefined : [...new Set(text.split('|'))];
}
