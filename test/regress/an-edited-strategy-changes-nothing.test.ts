/**
 * The strategy was set through the admin API once. Later it was edited in the file and reloaded: "reloaded", and nothing
 * changed; and nothing said why.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Fairlead, runFairlead, startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';

async function overriddenFairlead() {
  const { url } = await httpBackend();
  const fairlead = await startFairlead({ config: { strategy: 'round-robin', backends: [url] } });
  const file = join(fairlead.cwd, 'fairlead.config.json');
  const run = commandOf(fairlead);
  await call(fairlead, 'PUT', '/strategy', { strategy: 'least-connections' });
  await call(fairlead, 'PATCH', '/backends/0', { weight: 5 });
  const edited = { strategy: 'random-two', backends: [{ url, weight: 7 }] };
  await writeFile(file, JSON.stringify(edited));
  return { fairlead, run, file, url };
}

function commandOf({ adminUrl }: Fairlead) {
  return async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runFairlead([...args, '--admin', adminUrl]);
    return code === 0 ? stdout : `${code}: ${stderr}`;
  };
}

async function call({ adminUrl }: Fairlead, method: string, path: string, body: object) {
  const answer = await fetch(adminUrl + path, { method, body: JSON.stringify(body) });
  expect(answer.ok).toBe(true);
}

async function inForce({ adminUrl }: Fairlead): Promise<unknown> {
  const status = (await (await fetch(`${adminUrl}/status`)).json()) as {
    readonly strategy: string;
    readonly backends: readonly { readonly weight: number }[];
  };
  return [status.strategy, ...status.backends.map(({ weight }) => weight)];
}

// Each runs some commands, each a process of its own.
describe('values that the admin API has set otherwise than the config', { timeout: 60_000 }, () => {
  it('are said by a reload, and dropped live', async () => {
    const { fairlead, run, url } = await overriddenFairlead();
    const strategy = 'strategy is least-connections (the config says random-two)';
    const weight = `weight of ${url} is 5 (the config says 7)`;
    expect(await run('reload')).toBe(
      `reloaded: strategy, backends\nset otherwise (fairlead reset drops that):\n  ${strategy}\n  ${weight}\n`,
    );
    const { overrides, msg } = await fairlead.waitForLog(
      ({ event }) => event === 'config.overridden',
    );
    expect(msg).toContain(strategy);
    expect(overrides).toMatchObject([
      { value: 'strategy', backend: null, api: 'least-connections', config: 'random-two' },
      { value: 'weight', backend: url, api: 5, config: 7 },
    ]);
    expect(await inForce(fairlead)).toEqual(['least-connections', 5]);
    expect(await run('reset', 'strategy')).toBe('strategy is random-two, as the config says\n');
    expect(await inForce(fairlead)).toEqual(['random-two', 5]);
    expect(await run('reset', '0')).toBe(`weight of ${url} is 7, as the config says\n`);
    expect(await inForce(fairlead)).toEqual(['random-two', 7]);
    expect(await (await fetch(`${fairlead.adminUrl}/overrides`)).json()).toEqual([]);
    // Kept: a restart does not bring them back.
    const kept = await readFile(join(fairlead.cwd, 'fairlead.state.json'), 'utf8');
    expect(kept).not.toContain('least-connections');
  });

  it('are said by print-config and by the next start, and dropped all at once', async () => {
    const { fairlead, file, url } = await overriddenFairlead();
    await fairlead.stop();
    const args = ['--config', file];
    const { stdout } = await runFairlead(['print-config', ...args]);
    expect(stdout).toContain(
      '# Set through the admin API, which wins (fairlead reset drops that):\n' +
        '#   strategy is least-connections (the config says random-two)\n' +
        `#   weight of ${url} is 5 (the config says 7)\n`,
    );
    const json = await runFairlead(['print-config', '--json', ...args]);
    expect(JSON.parse(json.stdout)).toMatchObject({ overrides: [{ value: 'strategy' }, {}] });
    const next = await startFairlead({ args });
    await next.waitForLog(({ event }) => event === 'config.overridden');
    expect(await inForce(next)).toEqual(['least-connections', 5]);
    await commandOf(next)('reset');
    expect(await inForce(next)).toEqual(['random-two', 7]);
  });

  it('are dropped of a backend that was added, and that the config lists by now', async () => {
    const { url } = await httpBackend();
    const fairlead = await startFairlead({ config: { backends: [] } });
    const run = commandOf(fairlead);
    await call(fairlead, 'POST', '/backends', { url, weight: 3 });
    const file = join(fairlead.cwd, 'fairlead.config.json');
    await writeFile(file, JSON.stringify({ backends: [{ url, weight: 9 }] }));
    expect(await run('reload')).toContain(`weight of ${url} is 3 (the config says 9)`);
    await run('reset', 'weight');
    expect(await inForce(fairlead)).toEqual(['round-robin', 9]);
  });

  it('leaves what is disabled out of use, and refuses what is no value', async () => {
    const { fairlead, run } = await overriddenFairlead();
    await call(fairlead, 'PATCH', '/backends/0', { state: 'disabled' });
    await run('reset');
    const backend = await (await fetch(`${fairlead.adminUrl}/backends/0`)).json();
    expect(backend).toMatchObject({ state: 'disabled' });
    const wrong = await fetch(`${fairlead.adminUrl}/overrides?value=wieght`, { method: 'DELETE' });
    expect(wrong.status).toBe(422);
    expect(await wrong.json()).toMatchObject({ hint: 'did you mean "weight"?' });
    const unknown = await fetch(`${fairlead.adminUrl}/overrides?backend=9`, { method: 'DELETE' });
    expect(unknown.status).toBe(404);
  });
});
