import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestOf, makeToken } from '../../src/config/read/admin-token.ts';
import { parseTokens, readTokensFile } from '../../src/config/read/admin-tokens.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { loadText } from './load-text.ts';

const HASH = `sha256:${'a'.repeat(64)}`;
const OTHER = `sha256:${'B'.repeat(64)}`;

describe('the file of tokens', () => {
  it('has a name, a role and a hash in each line', () => {
    const text = `# who may call\r\n\n  ci   operator ${OTHER}\r\ngrafana viewer ${HASH}`;
    expect(parseTokens(text)).toEqual({
      tokens: [
        { name: 'ci', role: 'operator', digest: 'b'.repeat(64) },
        { name: 'grafana', role: 'viewer', digest: 'a'.repeat(64) },
      ],
      faults: [],
    });
  });

  it.each([
    ['ci operator', 'must be a name, a role and a hash'],
    [`ci operator ${HASH} x`, 'must be a name, a role and a hash'],
    [`c/i operator ${HASH}`, 'its name must be 1 to 64 letters, digits, and any of _ . @ + -'],
    [
      `admin.token viewer ${HASH}`,
      'its name must be 1 to 64 letters, digits, and any of _ . @ + -',
    ],
    [`ci operater ${HASH}`, 'its role must be one of viewer, operator'],
    ['ci viewer sha256:12', 'its hash must be sha256: and 64 hexadecimal digits'],
    ['ci viewer fairlead_x', 'the token itself stands there: only its hash may'],
  ])('refuses %j, and says the line', (line, message) => {
    const { tokens, faults } = parseTokens(`a viewer ${OTHER}\n\n${line}\n`);
    expect(tokens.length).toBe(1);
    expect(faults).toEqual([
      { line: 3, message, ...(faults[0]?.hint && { hint: faults[0].hint }) },
    ]);
  });

  it('refuses a name or a token that is there twice', () => {
    expect(parseTokens(`a viewer ${HASH}\na viewer ${OTHER}\nb viewer ${HASH}\n`).faults).toEqual([
      { line: 2, message: 'the name a is in line 1, too' },
      { line: 3, message: 'the token is in line 1, too' },
    ]);
  });

  it('says nothing of what else a file holds', () => {
    const { faults } = parseTokens('root:$6$verysecret:19000:0:99999:7:::\nx y z\nhunter2 a b');
    expect(JSON.stringify(faults)).not.toMatch(/verysecret|hunter2/);
  });

  it('keeps of a token what nobody finds it by', () => {
    const { token, line } = makeToken('ci', 'operator');
    expect(token).toMatch(/^fairlead_[\w-]{43}$/);
    expect(parseTokens(line).tokens).toEqual([
      { name: 'ci', role: 'operator', digest: digestOf(token).toString('hex') },
    ]);
    expect(line).not.toContain(token);
    expect(makeToken('ci', 'operator').token).not.toBe(token);
  });

  it('is refused where it is too large, a folder, or gone; others that may write it are warned of', () => {
    const folder = temporaryFolder();
    const file = join(folder, 'tokens');
    expect(readTokensFile(folder).faults).toEqual([
      { message: `cannot read ${folder}: it is a folder` },
    ]);
    expect(readTokensFile(file).faults[0]?.message).toContain(file);
    writeFileSync(file, `ci viewer ${HASH}\n`);
    chmodSync(file, 0o644);
    expect(readTokensFile(file).notes).toEqual([]);
    chmodSync(file, 0o664);
    expect(readTokensFile(file).notes).toEqual([
      expect.stringContaining('can be written by its group'),
    ]);
    chmodSync(file, 0o602);
    expect(readTokensFile(file).notes).toEqual([
      expect.stringContaining('anybody on this machine'),
    ]);
    writeFileSync(file, '#'.repeat(300_000));
    expect(readTokensFile(file).faults).toEqual([{ message: `${file} is larger than 256 KiB` }]);
  });
});

describe('a config that names one', () => {
  it('may listen anywhere, and is told the line that is malformed', () => {
    const folder = temporaryFolder();
    const file = join(folder, 'tokens');
    const text = `admin: { host: 0.0.0.0, tokens_file: ${file} }`;
    writeFileSync(file, `ci viewer ${HASH}\n`, { mode: 0o600 });
    const good = loadText(text);
    expect(good.ok && good.settings.admin.tokens).toEqual({
      file,
      tokens: [{ name: 'ci', role: 'viewer', digest: 'a'.repeat(64) }],
    });
    writeFileSync(file, `ci viewer ${HASH}\nops root ${OTHER}\n`);
    const bad = loadText(text);
    expect(!bad.ok && bad.problems).toEqual([
      {
        origin: 'file',
        file,
        line: 2,
        path: 'admin.tokens_file',
        message: 'its role must be one of viewer, operator',
      },
    ]);
  });
});
