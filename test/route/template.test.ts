/** What variables stand for, and that nothing of a client gets out of the place that a template has for it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFault, readTemplate, resolveTemplate } from '../../src/config/read/template-text.ts';
import {
  FieldTemplate,
  RedirectTemplate,
  TargetTemplate,
  type TemplateSource,
} from '../../src/data/route/template.ts';
import { ForwardContext } from '../../src/data/wire/forward-request.ts';
import { normalPath } from '../../src/data/wire/path.ts';
import { readRoutePath } from '../../src/snapshot/route-path.ts';
import type { Template } from '../../src/snapshot/template.ts';
import { goodFactsOf, held, RULES } from '../wire/parse.ts';

const PATHS = { keepsEncodedSlashes: false, mergesSlashes: true };

function templateOf(text: string, route: string): Template {
  const path = readRoutePath(route);
  const written = readTemplate(text);
  if (typeof path === 'string' || isFault(written))
    throw new Error(JSON.stringify([path, written]));
  const template = resolveTemplate(written, path);
  if (isFault(template)) throw new Error(template.message);
  return template;
}

interface Asked {
  readonly path?: string;
  readonly host?: string;
  readonly lines?: readonly string[];
  readonly isTrusted?: boolean;
  readonly minor?: 0 | 1;
}

function sourceOf(asked: Asked): TemplateSource {
  const { path = '/', host = 'shop.example', lines = [], isTrusted = false, minor = 1 } = asked;
  const hostLines = minor === 1 ? [`Host: ${host}`] : [];
  const text = [`GET ${path} HTTP/1.${minor}`, ...hostLines, ...lines, '', ''].join('\r\n');
  const facts = goodFactsOf(text);
  const normal = normalPath(facts.path, PATHS);
  if (normal === null) throw new Error(`${path} is refused`);
  const rules = { ...RULES, sendsXForwarded: true, sendsForwarded: false, rewritesLocation: true };
  return {
    facts: { ...facts, path: normal },
    head: held('request', text),
    context: new ForwardContext('192.0.2.1', 'http', isTrusted, rules),
    clientAddress: '198.51.100.7',
    requestId: 'id-1',
  };
}

function field(text: string, asked: Asked = {}, route = '/'): string {
  return new FieldTemplate(templateOf(text, route)).text(sourceOf(asked));
}

function target(text: string, asked: Asked = {}, route = '/'): string | null {
  return new TargetTemplate(templateOf(text, route), PATHS).text(sourceOf(asked));
}

function redirect(text: string, asked: Asked = {}, route = '/', rules = PATHS): string | null {
  return new RedirectTemplate(templateOf(text, route), rules).text(sourceOf(asked));
}

describe('a variable', () => {
  test.each<[string, string, Asked]>([
    ['${path}', '/a%2Bb/c', { path: '/%61%2bb/c?d=e' }],
    ['${query}', 'd=%2b&e', { path: '/a?d=%2b&e' }],
    ['${query}', '', { path: '/a' }],
    ['${query}', '?', { path: '/a??' }],
    ['${host}', 'shop.example', { host: 'SHOP.example.:8080' }],
    ['${host}', '[::1]', { host: '[::1]:80' }],
    ['${host}', '', { minor: 0 }],
    ['${host.label(1)}', 'shop', {}],
    ['${host.label(2)}', 'example', {}],
    ['${host.label(3)}', '', {}],
    ['${host.label(1)}', '', { host: '127.0.0.1' }],
    ['${host.label(1)}', '', { host: '[::1]' }],
    ['${client.address}', '198.51.100.7', {}],
    ['${request.id}', 'id-1', {}],
    ['${scheme}', 'http', {}],
    ['${scheme}', 'http', { lines: ['X-Forwarded-Proto: https'] }],
    ['${scheme}', 'https', { lines: ['X-Forwarded-Proto: https'], isTrusted: true }],
    ['${scheme}', 'http', { lines: ['X-Forwarded-Proto: gopher'], isTrusted: true }],
    ['${method}', 'GET', {}],
    ['${header.X-A}', '1, 2', { lines: ['x-a: 1', 'X-A:  2 '] }],
    ['${header.x-a}', '', {}],
    ['${header.x-a}', '', { lines: ['x-a: 1', 'Connection: x-a'] }],
    ['${header.x-forwarded-user}', '', { lines: ['X-Forwarded-User: root'] }],
    ['${header.x-forwarded-user}', 'root', { lines: ['X-Forwarded-User: root'], isTrusted: true }],
    ['<${method} $${x} $ {y} ${scheme}>', '<GET ${x} $ {y} http>', {}],
  ])('%s is %j', (text, value, asked) => {
    expect(field(text, asked)).toBe(value);
  });

  test.each([
    ['${path.rest}', '/old/', '/old/a/b?c', 'a/b'],
    ['${path.rest}', '/old', '/old', ''],
    ['${path.rest}', '/old', '/old/', ''],
    ['${path.rest}', '/', '/a/', 'a/'],
    ['${path.rest}', '/a/:b', '/a/b/c/d', 'c/d'],
    ['${path.id}', '/users/:id/photos', '/users/%41%2b7/photos/1', 'A%2B7'],
    ['${path.b}-${path.a}', '=/:a/:b', '/x/y', 'y-x'],
  ])('%s of %s is, of %s, %j', (text, route, path, value) => {
    expect(field(text, { path }, route)).toBe(value);
  });
});

describe('in a header field', () => {
  test('nothing is decoded, so nothing ends the line', () => {
    const asked = { path: '/a%0d%0aX:%20y?%0d%0aZ:1' };
    expect(field('${path} ${query}', asked)).toBe('/a%0D%0AX:%20y %0d%0aZ:1');
  });

  test('values of a head keep their bytes', () => {
    expect(field('${header.x}', { lines: ['X: caf\xe9\t1'] })).toBe('caf\xe9\t1');
    // In UTF-8, the last byte of `à` is a space of Latin-1.
    expect(field('${header.x}', { lines: ['X: voil\xc3\xa0 '] })).toBe('voil\xc3\xa0');
    expect(field('${header.x} ${query}', { lines: ['X: voil\xc3\xa0'] })).toBe('voil\xc3\xa0');
  });

  test('spaces around an empty value are none', () => {
    expect(field('Bearer ${header.x}')).toBe('Bearer');
    expect(field('${header.x} ')).toBe('');
  });
});

describe('a target', () => {
  test.each<[string, string, Asked, string | null]>([
    ['/new/${path.rest}', '/old', { path: '/old/a/b' }, '/new/a/b'],
    ['/new/${path.rest}', '/old', { path: '/old' }, '/new/'],
    ['/new/${path.rest}', '/old', { path: '/old/a?b=c' }, '/new/a?b=c'],
    ['/new/${path.rest}?', '/old', { path: '/old/a?b=c' }, '/new/a'],
    ['/new?x=1', '/old', { path: '/old/a?b=c' }, '/new?x=1'],
    ['/new?x=1&${query}', '/old', { path: '/old/a?b=c' }, '/new?x=1&b=c'],
    ['/new?${query}', '/old', { path: '/old' }, '/new'],
    ['/new${path}', '/', { path: '/a' }, '/new/a'],
    ['/new/${path}', '/', { path: '/a' }, '/new/a'],
    ['${path}.html', '/', { path: '/a' }, '/a.html'],
    ['/${host.label(1)}/${method}', '/', {}, '/shop/GET'],
    // What comes from elsewhere than the path gets no delimiters in.
    ['/t/${header.x}/d', '/', { lines: ['X: a b?c#d%20;\xe9'] }, '/t/a%20b%3Fc%23d%2520%3B%E9/d'],
    ['/t/${header.x}/d', '/', { lines: ['X: a/b'] }, null],
    ['/t/${header.x}/d', '/', { lines: ['X: a\\b'] }, null],
    ['/t/${header.x}/d', '/', { lines: ['X: ..'] }, null],
    ['/t/${header.x}/d', '/', { lines: ['X: .'] }, null],
    ['/t/.${header.x}/d', '/', { lines: ['X: .'] }, null],
    ['/t/${header.x}', '/', { lines: ['X: ..'] }, null],
    ['/t/.${path.rest}', '/a', { path: '/a' }, null],
    ['/t/..${path.rest}', '/a', { path: '/a/;x' }, null],
    ['/t/${header.x}/d', '/', {}, '/t/d'],
    // Behind the question mark, there are more of them.
    ['/i?id=${path.id}&a=1', '/:id', { path: '/1&a=2;b=3+4' }, '/i?id=1%26a%3D2%3Bb%3D3%2B4&a=1'],
    ['/i?id=${path.id}', '/:id', { path: '/%41%26' }, '/i?id=A%26'],
    ['/i?h=${header.x}', '/', { lines: ['X: a&b=c'] }, '/i?h=a%26b%3Dc'],
  ])('%s of %s', (text, route, asked, expected) => {
    expect(target(text, asked, route)).toBe(expected);
  });

  test('stays in the folder that the template has for it, whatever a client sends', () => {
    const piece = fc.constantFrom(
      '..',
      '.',
      '/',
      '\\',
      '%2e',
      '%2f',
      '%5c',
      '%',
      ';',
      '?',
      '&',
      'a',
      'é',
    );
    const text = fc.array(piece, { maxLength: 6 }).map((parts) => parts.join(''));
    const template = new TargetTemplate(
      templateOf('/in/.${header.x}/${path.id}/${header.x}${path.rest}', '/o/:id'),
      PATHS,
    );
    fc.assert(
      fc.property(text, text, (value, path) => {
        const latin1 = value.replaceAll(/[^\x21-\xff]/g, '').trim();
        const ascii = path.replaceAll(/[^!-~]|#/g, '');
        const facts = normalPath(`/o/i${ascii}`, PATHS);
        if (facts === null) return;
        const source = sourceOf({ lines: latin1 === '' ? [] : [`X: ${latin1}`] });
        const result = template.text({ ...source, facts: { ...source.facts, path: facts } });
        if (result === null) return;
        expect(result).toMatch(/^\/in\/[!-~]*$/);
        const [inPath = ''] = result.split('?');
        expect(inPath).not.toMatch(/\/\.\.?;/);
        expect(decodeURIComponent(inPath.replaceAll(/%[89A-F]./g, 'x'))).not.toMatch(
          /(^|[/\\])\.\.?($|[/\\])/,
        );
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a redirect', () => {
  test.each<[string, string, Asked, string | null]>([
    ['/new/${path.rest}', '/old', { path: '/old/a?b' }, '/new/a?b'],
    [
      'https://${host}${path}',
      '/',
      { path: '/a/b?c', host: 'A.example:80' },
      'https://a.example/a/b?c',
    ],
    ['https://${host}:8443${path}', '/', { host: '[::1]' }, 'https://[::1]:8443/'],
    ['${scheme}://www.${host}${path}', '/', {}, 'http://www.shop.example/'],
    ['https://new.example', '/', { path: '/a?b' }, 'https://new.example/?b'],
    ['https://new.example/x?y#z', '/', { path: '/a?b' }, 'https://new.example/x?y#z'],
    ['https://${host.label(1)}.new.example/', '/', {}, 'https://shop.new.example/'],
    // Nowhere to go: no host, no such label, or none that anybody has.
    ['https://${host}/', '/', { minor: 0 }, null],
    ['https://${host.label(5)}/', '/', {}, null],
    ['https://${host.label(5)}.new.example/', '/', {}, null],
    ['https://${host}/', '/', { host: "a'b" }, null],
    ['https://${host}/', '/', { host: 'a%2fb' }, null],
  ])('to %s from %s', (text, route, asked, expected) => {
    expect(redirect(text, asked, route)).toBe(expected);
  });

  test.each(['//evil.example', '///evil.example', '/a/..//evil.example', '//'])(
    'from %s leads to no other host',
    (path) => {
      const rules = { keepsEncodedSlashes: true, mergesSlashes: false };
      const source = sourceOf({});
      for (const text of ['${path}', '/${path.rest}', '/${path.rest}${query}']) {
        const template = new RedirectTemplate(templateOf(text, '/'), rules);
        const facts = { ...source.facts, path: normalPath(path, rules) as string };
        const location = template.text({ ...source, facts }) as string;
        expect(new URL(location, 'http://shop.example').host).toBe('shop.example');
      }
    },
  );

  test('of the server as a whole is one of its root', () => {
    const source = sourceOf({});
    const facts = { ...source.facts, path: '*' };
    const template = new RedirectTemplate(templateOf('https://${host}${path}', '/'), PATHS);
    expect(template.text({ ...source, facts })).toBe('https://shop.example/');
  });
});
