/**
 * Texts with variables, as they are written: `/new/${path.rest}`. `$${` is a plain `${`. Variables of the environment are filled
 * in before (text-value.ts): names with a dot, and those in `WHOLE_NAMES`, are of the request wherever a template may stand.
 */
import type { PathMatch } from '../../snapshot/route.ts';
import type { Template, Variable } from '../../snapshot/template.ts';
import { FIELD_NAME, FORWARDED_TWIN, ONE_HOP } from '../values/field-names.ts';
import { didYouMean, type Synonyms } from '../values/nearest.ts';

/** A template that no path has been looked at for: `variable` as it stands between the braces. */
export type WrittenTemplate = readonly (string | { readonly variable: string })[];

/** Marks the places of templates in the schema. */
export const TEMPLATE_FORMAT = 'template';

export interface TemplateFault {
  readonly message: string;
  readonly hint?: string | undefined;
}

const WHOLE_NAMES: ReadonlySet<string> = new Set(['path', 'query', 'host', 'scheme', 'method']);
const DOTTED_NAMES = ['path.rest', 'client.address', 'request.id'] as const;
const SHOWN_NAMES = [
  ...WHOLE_NAMES,
  ...DOTTED_NAMES,
  'path.NAME',
  'host.label(1)',
  'header.NAME',
] as const;

/** What others call it: nginx, HAProxy, Caddy, Envoy. */
const SYNONYMS: Synonyms = new Map([
  ['uri', ['path']],
  ['request_uri', ['path']],
  ['args', ['query']],
  ['query_string', ['query']],
  ['remote_addr', ['client.address']],
  ['remote_host', ['client.address']],
  ['client.ip', ['client.address']],
  ['src', ['client.address']],
  ['http_host', ['host']],
  ['request_id', ['request.id']],
  ['request_method', ['method']],
  ['rest', ['path.rest']],
  ['header', ['header.NAME']],
  ['headers', ['header.NAME']],
]);

const LONGEST_TEMPLATE = 4096;
/** Each may be as long as a request's head. */
const MOST_VARIABLES = 16;
const MOST_LABELS = 127;

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;

/** Whether `${inner}` is of the request, and not of the environment, where a template stands. */
export function isOfRequest(inner: string): boolean {
  const [name = ''] = inner.split(':-', 1);
  return name.includes('.') || WHOLE_NAMES.has(name);
}

/** For one that is not known, whether by us or by the environment. */
export function variableMeant(name: string): { readonly hint?: string } {
  const known = didYouMean(name, SHOWN_NAMES, SYNONYMS);
  return known.hint === undefined ? {} : known;
}

export function readTemplate(text: string): WrittenTemplate | TemplateFault {
  if (text.length > LONGEST_TEMPLATE) {
    return { message: `must not be longer than ${LONGEST_TEMPLATE} characters` };
  }
  const parts: WrittenTemplate[number][] = [];
  let literal = '';
  let end = 0;
  let variables = 0;
  for (const match of text.matchAll(REFERENCE)) {
    const [whole, inner, brace] = match;
    literal += text.slice(end, match.index);
    end = match.index + whole.length;
    if (inner === undefined) {
      literal += '${';
      continue;
    }
    const fault = brace === '' ? { message: `has "${whole}" without a "}"` } : faultOf(inner);
    if (fault !== null) return fault;
    if (++variables > MOST_VARIABLES) {
      return { message: `must not have more than ${MOST_VARIABLES} variables` };
    }
    if (literal !== '') parts.push(literal);
    literal = '';
    parts.push({ variable: inner });
  }
  literal += text.slice(end);
  if (literal !== '') parts.push(literal);
  return parts;
}

export function isFault<Read>(result: Read | TemplateFault): result is TemplateFault {
  return typeof result === 'object' && result !== null && 'message' in result;
}

function faultOf(variable: string): TemplateFault | null {
  const shown = `\${${variable}}`;
  if (variable.includes(':-')) {
    return { message: `has a default in ${shown}: only variables of the environment have one` };
  }
  if (WHOLE_NAMES.has(variable) || (DOTTED_NAMES as readonly string[]).includes(variable)) {
    return null;
  }
  const label = /^host\.label\((\d{1,4})\)$/.exec(variable);
  if (label !== null) {
    const number = Number(label[1]);
    if (number >= 1 && number <= MOST_LABELS) return null;
    return { message: `has ${shown}: labels are counted from 1, from the left` };
  }
  if (/^path\.[a-z_][a-z0-9_]*$/i.test(variable)) return null;
  if (variable.startsWith('header.')) return faultOfField(variable.slice('header.'.length), shown);
  const { hint } = variableMeant(variable);
  return {
    message: `has an unknown variable ${shown}`,
    hint: hint ?? `there are ${SHOWN_NAMES.map((name) => `\${${name}}`).join(', ')}`,
  };
}

function faultOfField(written: string, shown: string): TemplateFault | null {
  const name = written.toLowerCase();
  if (!FIELD_NAME.test(name)) {
    return { message: `has ${shown}: a header field is needed, such as \${header.x-tenant}` };
  }
  if (name === 'host') return { message: `has ${shown}`, hint: 'write ${host}' };
  if (name === 'upgrade' || ONE_HOP.has(name)) {
    return { message: `has ${shown}, a field that is for one hop only` };
  }
  if (FORWARDED_TWIN.test(name)) {
    return {
      message: `has ${shown}, a field that is never forwarded`,
      hint: 'write it with "-" for "_"',
    };
  }
  return null;
}

/** @param path of the route. */
export function resolveTemplate(
  written: WrittenTemplate,
  path: PathMatch,
): Template | TemplateFault {
  const resolved: Template[number][] = [];
  for (const part of written) {
    const one = typeof part === 'string' ? part : resolve(part.variable, path);
    if (typeof one !== 'string' && isFault(one)) return one;
    resolved.push(one);
  }
  return resolved;
}

function resolve(variable: string, { kind, segments }: PathMatch): Variable | TemplateFault {
  const [of, argument = ''] = split(variable);
  const names = segments.map((one) => (one.kind === 'name' ? one.name : ''));
  if (of === 'header') return { of: 'header', name: argument.toLowerCase() };
  if (of === 'host.label') return { of: 'host.label', number: Number(argument) };
  if (of !== 'path' || argument === '') return { of: variable } as Variable;
  const index = names.indexOf(argument);
  if (argument !== 'rest') {
    if (index !== -1) return { of: 'path.segment', index, name: argument };
    const known = names.filter((name) => name !== '').map((name) => `path.${name}`);
    return {
      message: `has \${${variable}}, but the path of the route has no segment ":${argument}"`,
      ...didYouMean(variable, [...known, 'path.rest']),
    };
  }
  if (index !== -1) {
    const message =
      'has ${path.rest}, which is what is behind the path, and also a segment ":rest"';
    return { message, hint: 'give the segment another name' };
  }
  if (kind === 'exact') {
    return { message: 'has ${path.rest}, but nothing is behind an exact path' };
  }
  return { of: 'path.rest', segments: segments.length };
}

function split(variable: string): [of: string, argument?: string] {
  const label = /^host\.label\((\d+)\)$/.exec(variable);
  if (label !== null) return ['host.label', label[1] as string];
  const parts = /^(path|header)\.(.*)$/.exec(variable);
  return parts === null ? [variable] : [parts[1] as string, parts[2] as string];
}

/** As it may be written in a config file. */
export function templateText(template: Template): string {
  return template
    .map((part) =>
      typeof part === 'string' ? part.replaceAll('${', '$$${') : `\${${nameOf(part)}}`,
    )
    .join('');
}

function nameOf(variable: Variable): string {
  if (variable.of === 'path.segment') return `path.${variable.name}`;
  if (variable.of === 'host.label') return `host.label(${variable.number})`;
  return variable.of === 'header' ? `header.${variable.name}` : variable.of;
}
