import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type KeyPart, requestKey } from '../../src/data/wire/request-key.ts';
import { requestHead } from './arbitrary.ts';
import { getWith, held } from './parse.ts';

function keyOf(by: KeyPart['by'], name: string, lines: readonly string[], path = '/'): unknown {
  const head = held('request', getWith(...lines));
  return requestKey({ by, name }, head, path);
}

describe('by header', () => {
  test.each([
    [['X-User: ann'], 'ann'],
    [['x-user: ann'], 'ann'],
    [['X-USER:  ann, bob \t'], 'ann, bob'],
    [['X-User: ann', 'X-User: bob'], 'ann'],
    [['X-User:', 'X-User: bob'], null],
    [['X-User: \xe4\xff'], '\xe4\xff'],
    [['X-User2: a', 'X-Use: b', 'X_User: c', 'Y-User: d'], null],
    [[], null],
  ])('%j', (lines, expected) => {
    expect(keyOf('header', 'x-user', lines)).toBe(expected);
  });

  test('a name that objects have is a name like others', () => {
    expect(keyOf('header', '__proto__', ['__proto__: a'])).toBe('a');
    expect(keyOf('header', 'constructor', [])).toBeNull();
  });
});

describe('by cookie', () => {
  test.each([
    [['Cookie: id=1'], '1'],
    [['COOKIE: a=0; id=1; b=2'], '1'],
    [['Cookie: a=0;id=1;b=2'], '1'],
    [['Cookie: a=0;\t id=1 ;b=2'], '1'],
    [['Cookie: id=1; id=2'], '1'],
    [['Cookie: a=0', 'Cookie: id=1'], '1'],
    [['Cookie: id=; id=2'], null],
    [['Cookie: id= '], null],
    [['Cookie: id= 1'], '1'],
    [['Cookie: id'], null],
    [['Cookie: id; id=2'], '2'],
    [['Cookie: ID=1'], null],
    [['Cookie: xid=1; id2=2; i=3; x=id=4'], null],
    [['Cookie: id=a=b=='], 'a=b=='],
    [['Cookie: id="quoted value"'], '"quoted value"'],
    [['Cookie: ;; ;id=1;;'], '1'],
    [['Cookie:'], null],
    [['Set-Cookie: id=1', 'X-Cookie: id=1'], null],
    [[], null],
  ])('%j', (lines, expected) => {
    expect(keyOf('cookie', 'id', lines)).toBe(expected);
  });
});

describe('by cookie, where some are known', () => {
  const choice = { isKnown: (key: string) => key.startsWith('our') };

  function chosenOf(...lines: readonly string[]): unknown {
    const head = held('request', getWith(...lines));
    return requestKey({ by: 'cookie', name: 'id' }, head, '/', choice);
  }

  test.each([
    [['Cookie: id=our1'], 'our1'],
    [['Cookie: id=x; id=our1'], 'our1'],
    [['Cookie: id=our1; id=x'], 'our1'],
    [['Cookie: id=our1; id=our2'], 'our1'],
    [['Cookie: id=x; a=b', 'Cookie: id=y; id=our1; id=our2'], 'our1'],
    [['Cookie: id=; id=our1'], 'our1'],
    [['Cookie: id=x; id=y'], 'x'],
    [['Cookie: id=; id=y'], 'y'],
    [['Cookie: id='], null],
    [['Cookie: a=our1'], null],
  ])('%j', (lines, expected) => {
    expect(chosenOf(...lines)).toBe(expected);
  });

  test('a request with a thousand of them costs as much as one with sixteen', () => {
    const asked: string[] = [];
    const head = held('request', getWith(`Cookie: ${'id=x; '.repeat(1_000)}`));
    const counting = { isKnown: (key: string) => asked.push(key) < 0 };
    expect(requestKey({ by: 'cookie', name: 'id' }, head, '/', counting)).toBe('x');
    expect(asked).toHaveLength(16);
  });

  test('any order of any cookies: the first known one, else the first', () => {
    const value = fc.constantFrom('our1', 'our2', 'x', 'y');
    fc.assert(
      fc.property(fc.array(fc.array(value, { maxLength: 5 }), { maxLength: 3 }), (rows) => {
        const lines = rows.map((row) => `Cookie: ${row.map((one) => `id=${one}`).join('; ')}`);
        const all = rows.flat();
        const expected = all.find((one) => one.startsWith('our')) ?? all[0] ?? null;
        expect(chosenOf(...lines)).toBe(expected);
      }),
    );
  });
});

describe('by query', () => {
  test.each([
    ['/?id=1', '1'],
    ['/a?b=0&id=1&c=2', '1'],
    ['/?id=1&id=2', '1'],
    ['/?id=&id=2', null],
    ['/?id&id=2', '2'],
    ['/?id=a=b', 'a=b'],
    ['/?id=a?id=b', 'a?id=b'],
    ['/?x?id=1', null],
    ['/?id=%31+2', '%31+2'],
    ['/?%69d=1', null],
    ['/?ID=1', null],
    ['/?xid=1&id2=2', null],
    ['/?a=0;id=1', null],
    ['/id=1', null],
    ['/&id=1', null],
    ['/?&&id=1&', '1'],
    ['/?', null],
    ['/', null],
    ['*', null],
  ])('%s', (path, expected) => {
    expect(keyOf('query', 'id', ['Cookie: id=9', 'id: 9'], path)).toBe(expected);
  });
});

describe('by path', () => {
  test.each([
    ['/', '/'],
    ['/?a', '/'],
    ['/a/%2e/../b?c?d', '/a/%2e/../b'],
    ['*', '*'],
  ])('%s', (path, expected) => {
    expect(keyOf('path', '', [], path)).toBe(expected);
  });
});

test('an address stands in no head', () => {
  expect(keyOf('ip', '', ['X-Forwarded-For: 192.0.2.1'])).toBeNull();
});

const text = fc.string({ unit: fc.constantFrom(...'ab=;&? %"'), maxLength: 20 });
const name = fc.constantFrom('a', 'ab', 'b');

test('a cookie is what a reader of the whole field finds', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 3 }), name, (values, wanted) => {
      const pair = values
        .flatMap((value) => value.split(';'))
        .map((candidate) => candidate.trim())
        .find((candidate) => candidate.startsWith(`${wanted}=`));
      const expected = pair?.slice(wanted.length + 1).trim() || null;
      const lines = values.map((value) => `Cookie: ${value}`);
      expect(keyOf('cookie', wanted, lines)).toBe(expected);
    }),
  );
});

test('a parameter is what a reader of the whole query finds', () => {
  fc.assert(
    fc.property(text, name, (value, wanted) => {
      const path = `/${value}`;
      const query = path.includes('?') ? path.slice(path.indexOf('?') + 1) : '';
      const pair = query.split('&').find((candidate) => candidate.startsWith(`${wanted}=`));
      const expected = pair?.slice(wanted.length + 1) || null;
      expect(keyOf('query', wanted, [], path)).toBe(expected);
    }),
  );
});

test('a header is the first field of its name, whatever the head', () => {
  fc.assert(
    fc.property(requestHead, fc.nat(), ({ text: head, target, fields }, at) => {
      const wanted = (fields[at % Math.max(1, fields.length)]?.name ?? 'x').toLowerCase();
      const expected = fields.find((field) => field.name.toLowerCase() === wanted)?.value || null;
      const parsed = held('request', head);
      const part = { by: 'header', name: wanted } as const;
      expect(requestKey(part, parsed, target)).toBe(expected);
    }),
  );
});
