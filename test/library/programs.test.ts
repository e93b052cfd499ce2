/** Programs that have a proxy in them: once it is closed, nothing of it keeps them alive. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const LIBRARY = new URL('../../dist/index.js', import.meta.url).href;

/** What it says, and its exit code; a program that does not end is a test that does not. */
async function ranProgram(lines: string): Promise<{ code: number; output: string }> {
  const program = `import { createServer } from 'node:http';
import { createProxy } from ${JSON.stringify(LIBRARY)};
const backend = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
await new Promise((resolve) => backend.once('listening', resolve));
const url = \`http://127.0.0.1:\${backend.address().port}\`;
${lines}
backend.close();
`;
  const node = process.env['FAIRLEAD_TEST_NODE'] ?? process.execPath;
  const file = join(temporaryFolder('program'), 'main.mjs');
  writeFileSync(file, program);
  const child = spawn(node, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  return { code, output: stdout + stderr };
}

test('a program ends by itself once its proxies are closed, whatever they did', async () => {
  const { code, output } = await ranProgram(`
const one = createProxy({ port: 0, admin_port: 0, backends: [url], health_check_frequency: '100ms' });
const other = createProxy({ port: 0, admin: false, backends: [url] }, { log: '/dev/null', pick: (_request, [first]) => first });
const tooEarly = createProxy({ port: 0, admin: false, backends: [url] });
const never = createProxy({ port: 0 });
await Promise.all([one.listen(), other.listen(), one.listen()]);
// Connections that stay open, on both sides.
console.log(await (await fetch(one.url)).text(), await (await fetch(other.url)).text());
await fetch(\`http://127.0.0.1:\${one.adminPort}/status\`).then((answer) => answer.text());
// Open while it ends.
await fetch(\`http://127.0.0.1:\${one.adminPort}/events\`);
await one.pools.default.drain(url);
await one.reload({ port: 0, admin_port: 0, strategi: 'x' }).catch(({ name }) => console.log(name));
await other.reload({ port: 0, admin: false, backends: [url], health_check_frequency: '200ms' });
const listening = tooEarly.listen();
await Promise.all([one.close(), one.close(), other.close({ within: '1s' }), tooEarly.close(), listening]);
await tooEarly.listen().catch(({ code }) => console.log(code));
`);
  expect({ code, output }).toEqual({
    code: 0,
    output: 'hello hello\nConfigError\nERR_NOT_RUNNING\n',
  });
});

test('a program with a proxy in data threads ends by itself', async () => {
  const { code, output } = await ranProgram(`
const proxy = createProxy({ port: 0, admin: false, threads: 2, backends: [url] });
await proxy.listen();
console.log(await (await fetch(proxy.url)).text());
await proxy.close();
`);
  expect({ code, output }).toEqual({ code: 0, output: 'hello\n' });
});
