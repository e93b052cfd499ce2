/**
 * Templates filled in for one request, and made safe for where they go.
 *
 * Nothing is ever decoded: of the path and the query, variables are what stands there. So a `%0d%0a` stays one, and what was not
 * a delimiter does not become one. In a path, what comes from elsewhere is percent-encoded but for unreserved characters; behind a
 * `?`, so are the delimiters of parameters. A path that has got dot segments is refused, not resolved: it would lead out of
 * the folder that the template has for it.
 */
import type { PathRules } from '../../snapshot/snapshot.ts';
import { type Template, targetPartsOf, type Variable } from '../../snapshot/template.ts';
import { HTAB, SP } from '../wire/bytes.ts';
import { FIELD_FORWARDED_PROTO, idOfName } from '../wire/fields.ts';
import { type ForwardContext, isSecureScheme, passesOn } from '../wire/forward-request.ts';
import { findField, type Head } from '../wire/head.ts';
import { normalPath } from '../wire/path.ts';
import type { RequestFacts } from '../wire/request.ts';
import { restAfter, segmentAt } from './segments.ts';

/** What variables are read from: a request whose head is at hand. */
export interface TemplateSource {
  /** Their path in normal form, where templates have variables of it. */
  readonly facts: RequestFacts;
  readonly head: Head;
  readonly context: ForwardContext;
  readonly clientAddress: string;
  readonly requestId: string;
}

/** In a header field. */
export class FieldTemplate {
  /** Null where it has variables. */
  readonly constant: string | null;
  readonly #template: Template;

  constructor(template: Template) {
    const [first = ''] = template;
    this.constant = template.length < 2 && typeof first === 'string' ? first : null;
    this.#template = template;
  }

  text(source: TemplateSource): string {
    return this.constant ?? trimmed(fill(this.#template, source, inField));
  }
}

/**
 * Without spaces and tabs at its ends (RFC 9110 §5.5). Not by `trim`, which takes the last byte of `à` in UTF-8 for a space, nor by a
 * pattern, which would begin anew at each of ten thousand spaces in the middle.
 */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === SP || code === HTAB;
}

/** In place of the path of a request, with its query. */
export class TargetTemplate {
  readonly #path: Template;
  readonly #query: Template | null;
  readonly #rules: PathRules;

  constructor(template: Template, rules: PathRules) {
    const { path, query } = targetPartsOf(template);
    this.#path = path;
    this.#query = query;
    this.#rules = rules;
  }

  /** In origin form, with the query of the request where the template has none; null: what comes out is no path to forward. */
  text(source: TemplateSource): string | null {
    const path = fill(this.#path, source, inPath);
    if (DOT_SEGMENT.test(path)) return null;
    const query = this.#query === null ? queryOf(source) : fill(this.#query, source, inQuery);
    return normalPath(withQuery(rooted(path), query), this.#rules);
  }
}

/** A Location: a path, or a URL. */
export class RedirectTemplate {
  readonly #origin: Template;
  readonly #target: TargetTemplate;
  readonly #fragment: string;

  constructor(template: Template, rules: PathRules) {
    const { origin, fragment } = targetPartsOf(template);
    this.#origin = origin;
    this.#target = new TargetTemplate(template, rules);
    this.#fragment = fragment === null ? '' : `#${fragment.join('')}`;
  }

  /** Null: what comes out is nothing to send a client to. */
  text(source: TemplateSource): string | null {
    const target = this.#target.text(source);
    const origin = fill(this.#origin, source, inField);
    // Without a host (HTTP/1.0), or of a name of fewer labels.
    if (target === null || (origin !== '' && !WHOLE_ORIGIN.test(origin))) return null;
    return origin + target + this.#fragment;
  }
}

const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:$|\/)/;
const WHOLE_ORIGIN = /^https?:\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9_-][a-z0-9._-]*)(?::\d*)?$/i;

/**
 * Begins with one slash. Whoever reads a path as a reference takes what is behind two of them for a host: a browser that is sent
 * there, and backends that parse it so.
 */
export function rooted(path: string): string {
  return path.startsWith('//') || path === '' ? path.replace(/^\/*/, '/') : path;
}

function withQuery(path: string, query: string): string {
  return query === '' ? path : `${path}?${query}`;
}

type Encode = (variable: Variable, value: string) => string;

function fill(template: Template, source: TemplateSource, encode: Encode): string {
  let text = '';
  for (const part of template) {
    text += typeof part === 'string' ? part : encode(part, valueOf(part, source));
  }
  return text;
}

/** The head's parser lets no such byte through: this is the second lock. */
function inField(_variable: Variable, value: string): string {
  return /[^\t -~\x80-\xff]/.test(value) ? '' : value;
}

function inPath(variable: Variable, value: string): string {
  if (variable.of === 'path') return value.startsWith('/') ? value : `/${value.replace('*', '')}`;
  return isOfPath(variable) ? value : percentEncoded(value);
}

function inQuery(variable: Variable, value: string): string {
  if (variable.of === 'query') return value;
  // Its triplets stand for what they stand for here, too; `+` would become a space.
  if (isOfPath(variable)) return value.replaceAll(/[&+;=#]/g, percentEncoded);
  return percentEncoded(value);
}

function isOfPath({ of }: Variable): boolean {
  return of === 'path' || of === 'path.rest' || of === 'path.segment';
}

/** Of Latin-1, all but the unreserved (RFC 3986 §2.3). */
function percentEncoded(text: string): string {
  return text.replaceAll(
    /[^\w.~-]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

function valueOf(variable: Variable, source: TemplateSource): string {
  const { facts } = source;
  switch (variable.of) {
    case 'path':
      return withoutQuery(facts.path);
    case 'path.rest':
      return restAfter(facts.path, variable.segments).slice(1);
    case 'path.segment':
      return segmentAt(facts.path, variable.index);
    case 'query':
      return queryOf(source);
    case 'host':
      return hostOf(facts);
    case 'host.label':
      return labelOf(hostOf(facts), variable.number);
    case 'client.address':
      return source.clientAddress;
    case 'request.id':
      return source.requestId;
    case 'scheme':
      return schemeOf(source);
    case 'method':
      return facts.method;
    case 'header':
      return headerOf(variable.name, source);
  }
}

function withoutQuery(path: string): string {
  const mark = path.indexOf('?');
  return mark === -1 ? path : path.slice(0, mark);
}

function queryOf({ facts: { path } }: TemplateSource): string {
  const mark = path.indexOf('?');
  return mark === -1 ? '' : path.slice(mark + 1);
}

/** As routes compare it: in lower case, without port and one dot at its end. */
function hostOf({ host }: RequestFacts): string {
  return host === null ? '' : host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
}

/** Addresses have none. */
function labelOf(host: string, number: number): string {
  return /^\[|^[\d.]*$/.test(host) ? '' : (host.split('.')[number - 1] ?? '');
}

/** The client's: a trusted proxy knows it better than our own connection with it. */
function schemeOf({ head, context }: TemplateSource): string {
  const said = context.isTrusted ? findField(head, FIELD_FORWARDED_PROTO) : null;
  return isSecureScheme(said ?? context.scheme) ? 'https' : 'http';
}

/** All of its values (RFC 9110 §5.3), but only of what counts: see text-test.ts. */
function headerOf(name: string, { facts, head, context }: TemplateSource): string {
  if (!passesOn(idOfName(name), facts, context.isTrusted)) return '';
  if (facts.nominated !== null && facts.nominated.has(name)) return '';
  let values = '';
  for (let field = 0; field < head.fieldCount; field++) {
    if (!head.isNamed(field, name)) continue;
    values = values === '' ? head.value(field) : `${values}, ${head.value(field)}`;
  }
  return values;
}
