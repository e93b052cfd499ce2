import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Seal, SealError } from '../../../src/control/cluster/sealed.ts';

const KEY = randomBytes(32);
const OTHER_KEY = randomBytes(32);
const seal = Seal.of(KEY.toString('base64'));
const SECRET = 'what nobody else may read';

it('opens what it has sealed, and what is sealed says nothing and is another text each time', () => {
  const sealed = seal.seal('sec/cookie/1', SECRET);
  expect(seal.open('sec/cookie/1', sealed).toString()).toBe(SECRET);
  expect(sealed).not.toContain(SECRET);
  expect(sealed).not.toContain(Buffer.from(SECRET).toString('base64url').slice(0, 8));
  expect(seal.seal('sec/cookie/1', SECRET)).not.toBe(sealed);
  expect(seal.open('empty', seal.seal('empty', '')).length).toBe(0);
  const bytes = randomBytes(1000);
  expect(seal.open('bytes', seal.seal('bytes', bytes)).equals(bytes)).toBe(true);
});

it('opens nothing under another name, so that one secret can’t be put in the place of another', () => {
  const sealed = seal.seal('sec/cookie/1', SECRET);
  expect(() => seal.open('sec/cookie/2', sealed)).toThrow(SealError);
});

it('opens nothing of which one bit was changed or a piece is missing', () => {
  const sealed = seal.seal('name', SECRET);
  const parts = sealed.split('.');
  for (const which of [2, 3]) {
    const bytes = Buffer.from(parts[which] ?? '', 'base64url');
    for (const at of [0, bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const text = parts.with(which, changed.toString('base64url')).join('.');
      expect(() => seal.open('name', text)).toThrow(SealError);
    }
    const short = bytes.subarray(0, -1).toString('base64url');
    expect(() => seal.open('name', parts.with(which, short).join('.'))).toThrow(SealError);
  }
  for (const text of ['', 'sealed1', 'sealed1...', `${sealed}.more`, `x${sealed}`, SECRET]) {
    expect(() => seal.open('name', text)).toThrow(SealError);
  }
});

it('says which key it lacks, and never shows one', () => {
  const other = Seal.of(OTHER_KEY.toString('hex'));
  const sealed = seal.seal('name', SECRET);
  expect(() => other.open('name', sealed)).toThrow(new RegExp(seal.keyId));
  expect(seal.keyId).not.toBe(other.keyId);
  expect(KEY.toString('hex')).not.toContain(seal.keyId);
});

it('seals with the first key and opens with all, so that a key can be replaced', () => {
  const before = seal.seal('name', SECRET);
  const both = Seal.of(`# from today\n${OTHER_KEY.toString('hex')}\n\n${KEY.toString('base64')}\n`);
  expect(both.open('name', before).toString()).toBe(SECRET);
  expect(both.isOld(before)).toBe(true);
  const after = both.seal('name', SECRET);
  expect(both.isOld(after)).toBe(false);
  expect(Seal.of(OTHER_KEY.toString('base64url')).open('name', after).toString()).toBe(SECRET);
  expect(() => seal.open('name', after)).toThrow(SealError);
});

it('takes only what is a key', () => {
  for (const text of [
    '',
    '# nothing\n',
    'a password',
    KEY.toString('hex').slice(2),
    'x'.repeat(64),
  ]) {
    expect(() => Seal.of(text)).toThrow(SealError);
  }
});

it('reads its keys from a file, and names the file in what it complains of', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fairlead-seal-'));
  try {
    const path = join(folder, 'key');
    await expect(Seal.fromFile(path)).rejects.toThrow(path);
    await writeFile(path, 'short\n');
    await expect(Seal.fromFile(path)).rejects.toThrow(path);
    await writeFile(path, `${KEY.toString('base64')}\n`);
    expect((await Seal.fromFile(path)).keyId).toBe(seal.keyId);
  } finally {
    await rm(folder, { recursive: true });
  }
});
