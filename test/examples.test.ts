import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type LoadResult, loadSettings, validateConfigText } from '../src/config/load.ts';

const examples = new URL('../examples/', import.meta.url);
const configs = readdirSync(examples).filter((name) => /\.(json|ya?ml)$/.test(name));

function load(config: string | undefined, env: Record<string, string> = {}): LoadResult {
  const flags = config === undefined ? { values: [] } : { config, values: [] };
  return loadSettings({ flags, env, cwd: fileURLToPath(new URL('../test', import.meta.url)) });
}

test.each(configs)('examples/%s is valid', (name) => {
  const result = load(fileURLToPath(new URL(name, examples)));
  expect(result).toMatchObject({ ok: true });
  expect(result.ok && result.settings.pools[0].backends.length).toBeGreaterThan(1);
});

test('examples/environment.env is valid', () => {
  const text = readFileSync(new URL('environment.env', examples), 'utf8');
  const variables = Array.from(text.matchAll(/^(\w+)=(.*)$/gm), ([, name, value]) => [name, value]);
  expect(variables.length).toBeGreaterThan(3);
  const result = load(undefined, Object.fromEntries(variables) as Record<string, string>);
  expect(result).toMatchObject({
    ok: true,
    settings: {
      port: 8080,
      pools: [
        {
          healthCheck: { intervalMs: 10_000, path: '/health' },
          backends: [{ url: 'http://localhost:8081' }, { url: 'http://localhost:8082' }],
        },
      ],
    },
  });
});

test('the config of the README is valid', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const yaml = /```yaml\n([^]*?)```/.exec(readme)?.[1] ?? '';
  const result = validateConfigText(yaml, 'README.md', {
    flags: { values: [] },
    env: {},
    cwd: '.',
  });
  expect(result).toMatchObject({
    ok: true,
    settings: { port: 8080, pools: [{ backends: [{}, { weight: 3 }] }] },
  });
});
