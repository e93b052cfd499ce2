/**
 * The contract between the planes: texts with variables, each of which stands for something of the request. How they are written
 * stands in config/read/template-text.ts; what they stand for, and how it is made safe for its place, in data/route/template.ts.
 */

export type Variable =
  | {
      readonly of:
        | 'path'
        | 'query'
        | 'host'
        | 'client.address'
        | 'request.id'
        | 'scheme'
        | 'method';
    }
  /** What is behind so many segments of the path: those that the route matches. */
  | { readonly of: 'path.rest'; readonly segments: number }
  /** The segment of the path that the route has a name for. */
  | { readonly of: 'path.segment'; readonly index: number; readonly name: string }
  /** From the left, from 1 on. */
  | { readonly of: 'host.label'; readonly number: number }
  /** In lower case. */
  | { readonly of: 'header'; readonly name: string };

/** Texts stand for themselves. No two of them are neighbours, and none is empty. */
export type Template = readonly (string | Variable)[];

/** Whether it says something of the path of a request. */
export function hasPath(template: Template): boolean {
  return template.some((part) => typeof part !== 'string' && part.of.startsWith('path'));
}

/** A target, or a URL, cut where its parts begin. */
export interface TargetParts {
  /** Empty, or from the scheme to the end of the authority: `https://shop.example`. */
  readonly origin: Template;
  /** Begins with a slash, or with the whole path of the request; empty only behind an origin. */
  readonly path: Template;
  /** Null: there is no question mark. */
  readonly query: Template | null;
  /** Without its `#`; null: there is none. */
  readonly fragment: Template | null;
}

export function targetPartsOf(template: Template): TargetParts {
  const [beforeFragment, fragment] = cut(template, '#');
  const [beforeQuery, query] = cut(beforeFragment, '?');
  const [origin, path] = cutOrigin(beforeQuery);
  return { origin, path, query, fragment };
}

/** At the first of these marks that is written out. */
function cut(template: Template, mark: string): [Template, Template | null] {
  for (const [index, part] of template.entries()) {
    const at = typeof part === 'string' ? part.indexOf(mark) : -1;
    if (typeof part === 'string' && at !== -1) {
      const before = [...template.slice(0, index), ...textOrNone(part.slice(0, at))];
      return [before, [...textOrNone(part.slice(at + 1)), ...template.slice(index + 1)]];
    }
  }
  return [template, null];
}

function cutOrigin(template: Template): [Template, Template] {
  const [first, second] = template;
  const schemes = typeof first === 'string' ? /^[a-z][a-z0-9+.-]*:\/\//i.exec(first) : null;
  const isVariable = typeof first === 'object' && first.of === 'scheme';
  const hasScheme =
    schemes !== null || (isVariable && typeof second === 'string' && second.startsWith('://'));
  if (!hasScheme) return [[], template];
  for (const [index, part] of template.entries()) {
    if (typeof part !== 'string') {
      // It begins with a slash.
      if (part.of === 'path') return [template.slice(0, index), template.slice(index)];
      continue;
    }
    const from =
      schemes !== null && index === 0 ? schemes[0].length : isVariable && index === 1 ? 3 : 0;
    const at = part.indexOf('/', from);
    if (at === -1) continue;
    const before = [...template.slice(0, index), ...textOrNone(part.slice(0, at))];
    return [before, [part.slice(at), ...template.slice(index + 1)]];
  }
  return [template, []];
}

function textOrNone(text: string): string[] {
  return text === '' ? [] : [text];
}
