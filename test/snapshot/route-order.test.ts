import { describe, expect, test } from 'vitest';
import { deadRoutes } from '../../src/snapshot/route-order.ts';
import { matchOf, type WrittenMatch } from '../support/routes.ts';

function dead(...routes: readonly WrittenMatch[]) {
  return deadRoutes(routes.map(matchOf));
}

describe('a route can never match', () => {
  test.each<[string, WrittenMatch, WrittenMatch]>([
    ['written twice', { path: '/a' }, { path: '/a' }],
    ['everything twice', {}, {}],
    ['a slash more', { path: '/a' }, { path: '/a/' }],
    ['any path', {}, { path: '/' }],
    ['another name for a segment', { path: '/:a/b' }, { path: '/:c/b' }],
    [
      'hosts and methods in another order',
      { host: ['a', 'b'], method: ['GET', 'PUT'] },
      { host: ['b', 'a'], method: ['PUT', 'GET'] },
    ],
    [
      'conditions in another order',
      { headers: { a: '1', b: true }, query: { c: { prefix: 'x' } } },
      { headers: { b: true, a: '1' }, query: { c: { prefix: 'x' } } },
    ],
  ])('for want of any difference: %s', (_, first, second) => {
    expect(dead(first, second)).toEqual([{ route: 1, takenBy: [0], isSame: true }]);
  });

  test.each<[string, WrittenMatch, WrittenMatch]>([
    ['one of the hosts', { host: ['a', 'b'] }, { host: 'a' }],
    ['one of the methods', { method: ['GET', 'PUT'] }, { method: ['GET'] }],
    ['present before a value', { headers: { x: true } }, { headers: { x: '1' } }],
    ['part of the value', { headers: { x: { prefix: 'ab' } } }, { headers: { x: 'abc' } }],
    [
      'part of the part',
      { query: { x: { prefix: 'a', contains: 'b' } } },
      { query: { x: { prefix: 'abc' } } },
    ],
    ['the end of the end', { query: { x: { suffix: 'c' } } }, { query: { x: { suffix: 'bc' } } }],
  ])('for fewer requests, because it stands later: %s', (_, first, second) => {
    expect(dead(first, second)).toEqual([{ route: 1, takenBy: [0], isSame: false }]);
    const [other] = dead(second, first);
    expect(other).toBeUndefined();
  });

  test('because several take its requests', () => {
    const routes = [
      { host: 'a', method: ['GET'] },
      { host: 'a', method: ['PUT', 'GET'] },
      { host: 'b', method: ['PUT', 'GET', 'POST'] },
      { host: ['b', 'a'], method: ['GET', 'PUT'] },
    ];
    expect(dead(...routes)).toEqual([{ route: 3, takenBy: [0, 1, 2], isSame: false }]);
  });
});

describe('a route is alive', () => {
  test.each<[string, readonly WrittenMatch[]]>([
    ['the wider path stands first', [{}, { path: '/a' }, { path: '/a/b' }, { path: '=/a/b' }]],
    ['the wider host stands first', [{}, { host: '*.b' }, { host: '*.a.b' }, { host: 'c.a.b' }]],
    ['a name stands before a text', [{ path: '/:a' }, { path: '/a' }]],
    ['more conditions', [{}, { method: ['GET'] }, { method: ['GET'], query: { a: true } }]],
    ['one method is left', [{ method: ['GET'] }, { method: ['GET', 'PUT'] }]],
    ['one host is left', [{ host: 'a' }, { host: ['a', 'b'] }]],
    ['any method is left', [{ method: ['GET'] }, { headers: { a: true } }]],
    ['values differ', [{ headers: { x: '1' } }, { headers: { x: '2' } }]],
    ['letter case differs', [{ query: { x: 'a' } }, { query: { x: 'A' } }]],
    ['another name', [{ headers: { x: true } }, { headers: { y: true } }]],
    ['a header is no query', [{ headers: { x: true } }, { query: { x: true } }]],
    ['the value may be longer', [{ query: { x: 'abc' } }, { query: { x: { prefix: 'abc' } } }]],
    ['the path ends', [{ path: '=/a' }, { path: '=/a/' }, { path: '/a' }]],
  ])('%s', (_, routes) => {
    expect(dead(...routes)).toEqual([]);
  });
});
