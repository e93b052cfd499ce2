/** Templates as zod schemas: in a header field, as the target of a rewritten request, as the URL of a redirect. */
import { z } from 'zod';
import type { Template } from '../../snapshot/template.ts';
import { targetPartsOf } from '../../snapshot/template.ts';
import {
  isFault,
  readTemplate,
  TEMPLATE_FORMAT,
  type TemplateFault,
  type WrittenTemplate,
} from '../read/template-text.ts';
import { FIELD_TEXT } from '../values/field-names.ts';
import { fail } from './schema-types.ts';

function template(what: string, faultOf: (written: WrittenTemplate) => TemplateFault | null) {
  return z
    .string({ error: `must be a text, such as ${what}` })
    .meta({ format: TEMPLATE_FORMAT })
    .transform((text, context): WrittenTemplate => {
      const written = readTemplate(text);
      const fault = isFault(written) ? written : faultOf(written);
      if (fault !== null) return fail(context, fault.message, fault.hint);
      return written as WrittenTemplate;
    });
}

/** The value of a header field. */
export function fieldTemplate() {
  return template('"${host.label(1)}"', (written) => {
    const text = written.map((part) => (typeof part === 'string' ? part : 'x')).join('');
    if (text === '') return { message: 'must not be empty', hint: '"remove" takes a field away' };
    if (!FIELD_TEXT.test(text)) return { message: 'must be ASCII without control characters' };
    return text.trim() === text ? null : { message: 'must not have spaces at its ends' };
  });
}

/** What a request is forwarded with in place of its path. */
export function targetTemplate() {
  return template('"/new/${path.rest}"', (written) => {
    const { origin, path, query, fragment } = targetPartsOf(asTemplate(written));
    if (origin.length > 0) {
      return { message: 'must be a path', hint: '"redirect" sends clients to another host' };
    }
    if (fragment !== null) return { message: 'must not have a "#": no request has one' };
    return faultOfPath(path) ?? faultOfQuery(query);
  });
}

/** Where a client is sent: a path, or a URL with http or https. */
export function redirectTemplate() {
  return template('"https://${host}${path}"', (written) => {
    const { origin, path, query, fragment } = targetPartsOf(asTemplate(written));
    return (
      faultOfOrigin(origin) ??
      (origin.length > 0 && path.length === 0 ? null : faultOfPath(path)) ??
      faultOfQuery(query) ??
      faultOfFragment(fragment)
    );
  });
}

/** Its parts, for which nothing but the names of the variables counts. */
function asTemplate(written: WrittenTemplate): Template {
  return written.map((part) => {
    if (typeof part === 'string') return part;
    const of = part.variable as 'path';
    return part.variable.startsWith('host.label') ? { of: 'host.label', number: 1 } : { of };
  });
}

/** Stands for a variable where only what is around it is looked at. */
const ANY = 'x';

function joined(parts: Template): string {
  return parts.map((part) => (typeof part === 'string' ? part : ANY)).join('');
}

function faultOfPath(path: Template): TemplateFault | null {
  const [first] = path;
  const isPath = typeof first === 'string' ? first.startsWith('/') : first?.of === 'path';
  if (!isPath) return { message: 'must begin with "/" or ${path}' };
  const second = typeof first === 'string' ? first.slice(1, 2) : '';
  if (second === '/' || second === '\\') {
    return { message: 'must not begin with two slashes: the second would begin a host' };
  }
  if (path.some((part) => typeof part !== 'string' && part.of === 'query')) {
    return { message: 'has ${query} before a "?"', hint: 'write ?${query}' };
  }
  const text = joined(path);
  const fault = faultOfText(text);
  if (fault !== null) return fault;
  if (/\\|%5c|%00/i.test(text)) return { message: 'must not have backslashes or NULs' };
  const segments = text.replaceAll(/%2e/gi, '.').split('/');
  return segments.some((segment) => segment === '.' || segment === '..')
    ? { message: 'must not have dot segments' }
    : null;
}

function faultOfQuery(query: Template | null): TemplateFault | null {
  return query === null ? null : faultOfText(joined(query));
}

function faultOfFragment(fragment: Template | null): TemplateFault | null {
  if (fragment === null) return null;
  if (fragment.some((part) => typeof part !== 'string')) {
    return { message: 'must not have variables behind "#"' };
  }
  return faultOfText(joined(fragment));
}

function faultOfText(text: string): TemplateFault | null {
  if (!/^[!-~]*$/.test(text) || /["<>^`{|}]/.test(text)) {
    const bad = /[^!-~]|["<>^`{|}]/u.exec(text)?.[0] ?? '';
    const isWhole = !/[\p{Cs}\p{Cc}]/u.test(bad);
    return {
      message: 'must have only characters that a URL may have',
      ...(isWhole && { hint: `write ${JSON.stringify(bad)} as ${encodeURIComponent(bad)}` }),
    };
  }
  return /%(?![0-9a-f]{2})/i.test(text)
    ? { message: 'has a "%" without two hexadecimal digits' }
    : null;
}

function isHost(part: Template[number]): boolean {
  return typeof part === 'string' || part.of === 'host' || part.of === 'host.label';
}

/** Clients are sent to no host that the request could name but the one that it has asked for. */
function faultOfOrigin(origin: Template): TemplateFault | null {
  if (origin.length === 0) return null;
  const [first, ...others] = origin;
  const after = typeof first === 'string' ? origin : others;
  if (!after.every(isHost)) {
    const hint = 'a "/" ends the host';
    return {
      message: 'must not have a variable in its host but ${host} and ${host.label(N)}',
      hint,
    };
  }
  const text = typeof first === 'string' ? joined(origin) : `http${joined(others)}`;
  const authority = /^https?:\/\/(.*)$/i.exec(text)?.[1];
  if (authority === undefined) return { message: 'must begin with "/", "http://" or "https://"' };
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i.test(authority)
    ? null
    : { message: 'must have a host behind "://", and perhaps a port' };
}
