/** What a location of nginx matches, as the path of a route. */
import type { Directive } from './nginx-syntax.ts';
import type { Report } from './report.ts';
import type { Scope } from './scope.ts';

export interface LocationPath {
  /** As a route has it: `/v1`, `=/v1`. */
  readonly path: string;
  /** What `proxy_pass` with a URI takes off the front of the path; undefined: nothing can be. */
  readonly prefix: string | undefined;
  readonly isExact: boolean;
  /** How nginx chooses among them: what stands before the path, `''` for nothing. */
  readonly kind: '=' | '^~' | '~' | '';
}

/** @returns undefined where it can't be said; that is reported. */
export function pathOfLocation(
  location: Directive,
  scope: Scope,
  report: Report,
): LocationPath | undefined {
  const [first = '', second] = location.args;
  const [modifier, text] = second === undefined ? modifierOf(first) : [first, second];
  if (text.startsWith('@')) return undefined;
  if (modifier === '=' || modifier === '' || modifier === '^~') {
    const path = plain(text, modifier === '=', location, report);
    return path === undefined ? undefined : { ...path, kind: modifier };
  }
  const match = modifier === '~' ? plainPattern(text) : undefined;
  if (match === undefined) {
    report.leftOut(
      location,
      `a regular expression that is no plain path: ${
        isRefusing(scope) ? 'WHAT IT REFUSES IS OPEN: ' : ''
      }its requests go to the routes of other locations, though nginx asks it before those without ^~: write routes for the paths that it means`,
    );
    return undefined;
  }
  const path = plain(match.text, match.isExact, location, report);
  return path === undefined ? undefined : { ...path, prefix: undefined, kind: '~' };
}

/** Without it, requests get somewhere that would not. */
function isRefusing(scope: Scope): boolean {
  const [answer] = scope.own('return');
  const names = ['deny', 'internal', 'auth_basic', 'auth_request', 'auth_jwt', 'limit_except'];
  return (
    /^4\d\d$/.test(answer?.args[0] ?? '') ||
    names.some((name) => scope.own(name).some(({ args }) => args[0] !== 'off'))
  );
}

function modifierOf(text: string): readonly [string, string] {
  const [, modifier = '', rest = ''] = /^(=|\^~|~\*|~)?(.*)$/s.exec(text) ?? [];
  return [modifier, rest];
}

function plain(
  text: string,
  isExact: boolean,
  location: Directive,
  report: Report,
): Omit<LocationPath, 'kind'> | undefined {
  // A colon would make a name of a segment.
  const path = text.replaceAll('/:', '/%3A');
  if (!/^\/[\x21-\x7e]*$/.test(path) || /[?#\\;]|\/\/|\/\.\.?(\/|$)/.test(path)) {
    report.leftOut(location, 'no path that a route can have');
    return undefined;
  }
  if (isExact) return { path: `=${path}`, prefix: text, isExact };
  if (!text.endsWith('/')) {
    report.differs(
      location,
      `nginx takes all that begins with these characters, a route ${text} and what is below it`,
    );
  }
  return { path, prefix: text, isExact };
}

/** `^/users/`, `^/users(/|$)`, `^/users$`: what needs no regular expression. */
function plainPattern(
  source: string,
): { readonly text: string; readonly isExact: boolean } | undefined {
  const [, text, end = ''] =
    /^\^((?:[\w/%~-]|\\[./-])+)(\$|\.\*|\(\.\*\)|\(\/\|\$\)|\.\*\$|\(\.\*\)\$)?$/.exec(source) ??
    [];
  if (text === undefined) return undefined;
  return { text: text.replaceAll('\\', ''), isExact: end === '$' };
}
