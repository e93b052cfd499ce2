/** What the bench has from npm. It is installed beside the bench, when it is needed and not there yet. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = new URL('./', import.meta.url);

function json(path) {
  try {
    return JSON.parse(readFileSync(new URL(path, folder), 'utf8'));
  } catch {
    return null;
  }
}

function areInstalled() {
  const locked = json('package-lock.json')?.packages ?? {};
  return Object.keys(json('package.json').dependencies).every((name) => {
    const path = `node_modules/${name}`;
    return json(`${path}/package.json`)?.version === locked[path]?.version;
  });
}

/**
 * Installs what is missing, once per run.
 * @param {import('./stage.mjs').Stage} stage
 * @param {(line: string) => void} say
 * @returns {() => Promise<string | null>} why it is not there, or null
 */
export function installer(stage, say) {
  let answer = null;
  return () => (answer ??= areInstalled() ? Promise.resolve(null) : install(stage, say));
}

async function install(stage, say) {
  say('installing what the bench compares with, from npm');
  const { status, output } = await stage.run(
    'npm',
    ['ci', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: fileURLToPath(folder), env: process.env },
  );
  return status === 0 ? null : `"npm ci" in bench/ failed: ${output.trim().split('\n')[0]}`;
}
