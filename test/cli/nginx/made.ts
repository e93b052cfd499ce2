/** What `fairlead import nginx` makes of a config. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { importNginx } from '../../../src/cli/nginx/convert.ts';
import { importedText, lineOf } from '../../../src/cli/nginx/import-text.ts';
import { parseNginx } from '../../../src/cli/nginx/nginx-syntax.ts';
import { validateConfigText } from '../../../src/config/load.ts';
import { type FinishedRun, runFairlead } from '../../support/fairlead.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

export interface Made {
  readonly listeners: readonly object[];
  readonly pools: Record<string, object>;
  readonly routes: readonly Record<string, unknown>[];
  readonly [key: string]: unknown;
}

export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder('import');
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

export function imported(text: string, ...more: readonly string[]): Promise<FinishedRun> {
  const cwd = folderWith({ 'a.conf': text });
  return runFairlead(['import', 'nginx', 'a.conf', ...more], { cwd });
}

/** What is made of it, which is a config; and what is said: without a process. */
export function converted(text: string): { config: Made; said: string[] } {
  const done = importNginx({ folder: '/etc/nginx', directives: parseNginx(text, 'a.conf') });
  const config = importedText(done, 'a.conf');
  const input = { flags: { values: [] }, env: {}, cwd: '/', configFile: undefined };
  expect(validateConfigText(config, 'the config', input)).toMatchObject({ ok: true });
  return { config: parse(config) as Made, said: done.report.findings.map(lineOf) };
}
