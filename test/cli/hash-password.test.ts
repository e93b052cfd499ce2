import { spawnSync } from 'node:child_process';
import { scryptSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { hashPassword, parsePasswordHash } from '../../src/config/values/password-hash.ts';
import { COMMAND } from '../support/fairlead.ts';
import { cheapHash } from '../support/password-hash.ts';

function run(input: string, ...args: string[]) {
  return spawnSync(process.execPath, [COMMAND, 'hash-password', ...args], {
    input,
    encoding: 'utf8',
  });
}

test.each(['secret\n', 'secret', 'secret\r\n'])('%j on standard input becomes a hash', (input) => {
  const { status, stdout, stderr } = run(input);
  expect([status, stderr]).toEqual([0, '']);
  const result = parsePasswordHash(stdout.trimEnd());
  if (!result.ok) throw new Error(result.reason);
  const { cost: N, blockSize: r, parallelization: p, salt, key } = result.hash;
  const computed = scryptSync('secret', Buffer.from(salt, 'base64'), 32, { N, r, p });
  expect(computed.toString('base64').replaceAll('=', '')).toBe(key);
});

test.each([
  ['', [], 'the password is empty'],
  ['a\nb\n', [], 'a password is one line'],
  ['a', ['secret'], 'takes no arguments: the password comes from standard input'],
])('%j with %j: %s', (input, args, message) => {
  const { status, stdout, stderr } = run(input, ...args);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toContain(message);
});

test('no two hashes of a password are the same, and nothing of it is in them', () => {
  const [one, other] = [hashPassword('secret'), hashPassword('secret')];
  expect(one).not.toBe(other);
  expect(one).toMatch(/^\$scrypt\$ln=14,r=8,p=5\$[^$]{22}\$[^$]{43}$/);
});

test.each([
  ['secret', false],
  ['$scrypt$ln=10,r=8,p=1$c2FsdHNhbHQ$', false],
  ['$scrypt$ln=9,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA', false],
  ['$scrypt$ln=10,r=7,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA', false],
  ['$scrypt$ln=10,r=8,p=0$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA', false],
  ['$scrypt$ln=18,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA', false],
  ['$scrypt$ln=17,r=16,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA', false],
  ['$scrypt$ln=14,r=8,p=99$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA', false],
  ['$scrypt$ln=17,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA', true],
  [cheapHash('x'), true],
])('%s is a hash: %s', (text, isHash) => {
  expect(parsePasswordHash(text).ok).toBe(isHash);
});
