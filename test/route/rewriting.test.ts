/** When paths have to be read in their one form, and which names are meant by one. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FieldNames, FieldRewriting, linesBeside } from '../../src/data/route/field-changes.ts';
import { ForwardContext } from '../../src/data/wire/forward-request.ts';
import type { Head } from '../../src/data/wire/head.ts';
import type { FieldRules, Rewriting } from '../../src/snapshot/rewriting.ts';
import { MATCHES_ALL, readsPath } from '../../src/snapshot/route.ts';
import type { Template } from '../../src/snapshot/template.ts';
import { matchOf } from '../support/routes.ts';
import { getWith, goodFactsOf, RULES } from '../wire/parse.ts';

const NONE: Rewriting = { target: null, requestFields: null, responseFields: null };

function setting(...values: readonly Template[]): FieldRules {
  return {
    set: values.map((value, index) => ({ name: `x-${index}`, value })),
    add: [],
    remove: [],
  };
}

test.each<[boolean, string, Rewriting | null]>([
  [false, '/', null],
  [true, '/a', null],
  [true, '=/', null],
  [false, '/', { ...NONE, requestFields: setting(['a', { of: 'host' }]) }],
  [false, '/', { ...NONE, requestFields: setting([{ of: 'query' }]) }],
  [true, '/', { ...NONE, requestFields: setting(['a'], [{ of: 'path' }]) }],
  [true, '/', { ...NONE, responseFields: setting([{ of: 'path.rest', segments: 0 }]) }],
  [true, '/', { ...NONE, target: { kind: 'template', template: ['/a'] } }],
])('%s: paths are read for a route of %s with %j', (isRead, path, rewriting) => {
  expect(readsPath({ match: matchOf({ path }), action: { kind: 'pool' }, rewriting })).toBe(isRead);
});

function redirectTo(template: Template) {
  return { kind: 'redirect', to: template };
}

test('a route for all hosts and methods reads no path by itself', () => {
  expect(readsPath({ match: MATCHES_ALL, action: { kind: 'pool' }, rewriting: null })).toBe(false);
  const match = matchOf({ host: 'a', method: ['GET'] });
  expect(readsPath({ match, action: { kind: 'pool' }, rewriting: null })).toBe(false);
  expect(readsPath({ match, action: redirectTo(['/a', { of: 'query' }]), rewriting: null })).toBe(
    false,
  );
  expect(readsPath({ match, action: redirectTo([{ of: 'path' }]), rewriting: null })).toBe(true);
});

test('a name means all of its spellings, and one that Connection names only itself', () => {
  const names = new FieldNames(['X-Tenant-Id', 'x_plain']).with(new Set(['x-hop']));
  for (const name of ['x-tenant-id', 'x_tenant_id', 'x-tenant_id', 'x-plain', 'x_plain', 'x-hop']) {
    expect([name, names.has(name)]).toEqual([name, true]);
  }
  for (const name of ['x-tenant', 'xtenantid', 'x_hop', '']) expect(names.has(name)).toBe(false);
});

test('an answer keeps its own fields', () => {
  const own = 'Content-Type: text/plain\r\nCache-Control: no-store\r\n';
  const lines = 'cache-control: a\r\nX-A: Cache-Control: b\r\nvary: c\r\n';
  expect(linesBeside(lines, own)).toBe('X-A: Cache-Control: b\r\nvary: c\r\n');
});

test('whatever a client sends, a field is one line', () => {
  const rewriting = new FieldRewriting(
    setting(['a ', { of: 'header', name: 'x' }], [{ of: 'path' }, { of: 'query' }, { of: 'host' }]),
  );
  const rules = { ...RULES, sendsXForwarded: true, sendsForwarded: false, rewritesLocation: true };
  const context = new ForwardContext('192.0.2.1', 'http', false, rules);
  const facts = goodFactsOf(getWith());
  const anything = fc.string({ unit: fc.constantFrom('\r', '\n', '\0', ':', ' ', 'a', '\xe9') });
  fc.assert(
    fc.property(anything, anything, (value, path) => {
      const source = {
        facts: { ...facts, path: `/${path}`, host: value },
        head: headWith(value),
        context,
        clientAddress: '192.0.2.1',
        requestId: 'id',
      };
      expect(rewriting.changes(source).lines).toMatch(/^(?:x-[01]: [\t -~\x80-\xff]+\r\n){0,2}$/);
    }),
  );
});

/** Of one field `x`, as if the parser had let it through. */
function headWith(value: string): Head {
  return {
    versionMinor: 1,
    fieldCount: 1,
    keepsFirstLine: true,
    id: () => 0,
    name: () => 'x',
    value: () => value,
    valueLength: () => value.length,
    valueCode: (_field, index) => value.charCodeAt(index),
    isValue: (_field, text) => text === value,
    isNamed: (_field, name) => name === 'x',
    lines: () => `x: ${value}\r\n`,
  };
}
