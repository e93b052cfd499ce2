/**
 * Compiles src/ to dist/. `--keep` leaves an old dist/ in place, for a build beside a running process.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const command = `${root}dist/cli/main.js`;

if (!process.argv.includes('--keep')) rmSync(`${root}dist`, { recursive: true, force: true });
const compiler = spawnSync(
  process.execPath,
  [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}tsconfig.build.json`],
  { stdio: 'inherit' },
);
// The compiler writes its output without the executable bit, which `npx fairlead` in this folder needs.
if (existsSync(command)) chmodSync(command, 0o755);
// For editors: `"$schema": "./node_modules/fairlead/dist/fairlead.schema.json"` in a config file.
if (existsSync(command)) {
  const { jsonSchema } = await import('../dist/config/schema.js');
  writeFileSync(`${root}dist/fairlead.schema.json`, `${JSON.stringify(jsonSchema(), null, 2)}\n`);
}
process.exitCode = compiler.status ?? 1;
