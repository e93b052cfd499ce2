/** fairlead(1): man takes it without a word, and it tells what the help tells. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { manPage } from '../../src/cli/man-page.ts';
import { SETTING_FLAGS } from '../../src/cli/settings-flags.ts';
import { pathOf } from '../support/tools.ts';

const MAN = pathOf('man');
const FILE = fileURLToPath(new URL('../../dist/fairlead.1', import.meta.url));

/** As it is read, on lines that are not broken. */
function asRead(): string {
  const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', MANWIDTH: '1000', MANPAGER: 'cat' };
  const args = ['--warnings', '--no-hyphenation', '--no-justification', '-l', FILE];
  const { stdout, stderr, status } = spawnSync(MAN ?? '', args, { encoding: 'utf8', env });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout;
}

function squeezed(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

test('the build has written it, and the package names it', async () => {
  expect(readFileSync(FILE, 'utf8')).toBe(await manPage(COMMANDS));
  const manifest = new URL('../../package.json', import.meta.url);
  expect(JSON.parse(readFileSync(manifest, 'utf8'))).toMatchObject({ man: './dist/fairlead.1' });
});

test.runIf(MAN !== undefined)('man reads it, and every word of the help is there', async () => {
  const page = squeezed(asRead());
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    const { spec } = await load();
    expect(page).toContain(squeezed(`fairlead ${name} ${spec.usage}`));
    expect(page).toContain(squeezed(spec.about));
    for (const example of spec.examples) expect(page).toContain(squeezed(example));
    for (const [flag, { help }] of Object.entries(spec.flags)) {
      expect(page).toContain(`--${flag}`);
      expect(page).toContain(squeezed(help));
    }
    expect(page).toContain(squeezed(spec.exitCodes ?? ''));
  }
  for (const [flag, { help }] of Object.entries(SETTING_FLAGS)) {
    expect(page).toContain(`--${flag}`);
    expect(page).toContain(squeezed(help));
  }
});
