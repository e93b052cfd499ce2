import { expect, test } from 'vitest';
import { Redaction } from '../../src/data/relay/redaction.ts';

const redaction = new Redaction(['token', 'password', 'x-amz-signature']);

test.each([
  ['/?token=abc', '/?token=REDACTED'],
  ['/a?x=1&token=abc&y=2', '/a?x=1&token=REDACTED&y=2'],
  ['/?Token=a&TOKEN=b', '/?Token=REDACTED&TOKEN=REDACTED'],
  ['/?X-Amz-Signature=ab12&x=1', '/?X-Amz-Signature=REDACTED&x=1'],
  // Encoded, the name is the same to a server.
  ['/?%74oken=abc', '/?%74oken=REDACTED'],
  ['/?user[password]=abc&b=1', '/?user[password]=REDACTED&b=1'],
  ['/?user%5Bpassword%5D=abc', '/?user%5Bpassword%5D=REDACTED'],
  ['/?user[password][]=abc', '/?user[password][]=REDACTED'],
  ['/?+token=abc', '/?+token=REDACTED'],
  // Servers do not agree on what separates.
  ['/?a=1;token=abc;b=2&c=3', '/?a=1;token=REDACTED&c=3'],
  ['/?to=/x?token=abc', '/?to=/x?token=REDACTED'],
  // A value may have what separates names from values.
  ['/?token=a=b=c&d=1', '/?token=REDACTED&d=1'],
  ['https://example.org/x?token=abc', 'https://example.org/x?token=REDACTED'],
])('%s is logged as %s', (target, logged) => {
  expect(redaction.of(target)).toBe(logged);
});

test.each([
  '/',
  '/token=abc',
  '/?',
  '/?token',
  '/?token=',
  '/?token&a=b',
  '/?tokens=abc',
  '/?a=token=b',
  '/?=abc',
  '/?a&&;;b=1',
  '/?%zz=1&%=2&[=3&]=4',
  '/?tok%00en=1',
  '/?\xff=1',
])('%s is logged as it is', (target) => {
  expect(redaction.of(target)).toBe(target);
});

test('without names nothing is redacted', () => {
  expect(new Redaction([]).of('/?token=abc')).toBe('/?token=abc');
});

test('a name may be as long as it likes', () => {
  const long = 'x'.repeat(200);
  expect(new Redaction([long]).of(`/?${long}=1&${long}y=2`)).toBe(`/?${long}=REDACTED&${long}y=2`);
});
