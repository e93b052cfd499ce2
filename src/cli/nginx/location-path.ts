/** What a location of nginx matches, as the path of a route. */
import type { Directive } from './nginx-syntax.ts';
import type { Report } from './report.ts';

export interface LocationPath {
  /** As a route has it: `/v1`, `=/v1`. */
  readonly path: string;
  /** What `proxy_pass` with a URI takes off the front of the path; undefined: nothing can be. */
  readonly prefix: string | undefined;
  readonly isExact: boolean;
}

/** @returns undefined where it can't be said; that is reported. */
export function pathOfLocation(location: Directive, report: Report): LocationPath | undefined {
  const [first = '', second] = location.args;
  const [modifier, text] = second === undefined ? modifierOf(first) : [first, second];
  if (text.startsWith('@')) return undefined;
  if (modifier === '=') return plain(text, true, location, report);
  if (modifier === '' || modifier === '^~') return plain(text, false, location, report);
  const match = modifier === '~' ? plainPattern(text) : undefined;
  if (match === undefined) {
    report.leftOut(
      location,
      'a regular expression that is no plain path: write routes for the paths that it means',
    );
    return undefined;
  }
  const path = plain(match.text, match.isExact, location, report);
  return path === undefined ? undefined : { ...path, prefix: undefined };
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
): LocationPath | undefined {
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
