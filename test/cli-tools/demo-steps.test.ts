/** The demo's guide, followed step by step as it stands: what it claims is what one sees. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { LONG_MS, waitFor } from '../support/wait-for.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** `npx fairlead` in a clone is this, half a second later. */
const FAIRLEAD = `"${process.execPath}" dist/cli/main.js`;

interface Step {
  readonly commands: readonly string[];
  readonly see: string;
}

function stepsOf(guide: string): Step[] {
  return guide
    .split(/^\d+\.$/m)
    .slice(1)
    .map((text) => ({
      commands: [...text.matchAll(/^ +\$ (.+)$/gm)].map(([, command]) => command as string),
      see: /^ +See: (.+)$/m.exec(text)?.[1] ?? '',
    }));
}

async function typed({ commands }: Step): Promise<string> {
  let shown = '';
  for (const command of commands) {
    const line = command.replaceAll('npx fairlead', FAIRLEAD);
    // Not `sh -c … && …`: each by itself, as one types them. What ends with an error fails the test.
    const { stdout } = await promisify(execFile)('bash', ['-c', line], { cwd: ROOT });
    shown += stdout;
  }
  return shown;
}

/** What `fairlead try` shows of the spread. */
function spread(shown: string): Record<string, number> {
  expect(shown).toContain('300 complete, 0 failed');
  expect(shown).toMatch(/ 200 +300 +100\.0 %/);
  const rows = shown.matchAll(/^ {2}(backend-\d) +(\d+) /gm);
  return Object.fromEntries(Array.from(rows, ([, name = '', count]) => [name, Number(count)]));
}

test('each step of the demo shows what it says', async () => {
  const ports = { port: await freePort(), adminPort: await freePort() };
  // Another demo would take the port of the backend that is killed, and bring it back.
  const backends = ['--backend-port', String(Math.min(await freePort(), 65_000))];
  const args = ['demo', '--port', String(ports.port), '--admin-port', String(ports.adminPort)];
  args.push(...backends);
  const demo = await startFairlead({ args, ports });
  await waitFor(() => demo.output().includes('Ctrl-C ends it all'));
  const guide = demo.output();
  // The guide itself speaks of what will be logged below it.
  const below = (text: string): Promise<unknown> =>
    waitFor(() => demo.output().slice(guide.length).includes(text), 2 * LONG_MS, text);
  const steps = stepsOf(guide);
  expect(steps).toHaveLength(11);
  const portOf = (name: string): string =>
    new RegExp(`${name} +http://localhost:(\\d+)`).exec(guide)?.[1] ?? '';
  const [turns, status, thirds, killed, sick, alone, well, weighed, drained, least, metrics] =
    steps as [Step, Step, Step, Step, Step, Step, Step, Step, Step, Step, Step];

  expect(turns.see).toBe('backend-1, backend-2 and backend-3, one after the other.');
  expect((await typed(turns)).match(/backend-\d/g)).toEqual([
    'backend-1',
    'backend-2',
    'backend-3',
  ]);

  expect(await typed(status)).toContain('3 of 3 backends alive');

  expect(spread(await typed(thirds))).toEqual({
    'backend-1': 100,
    'backend-2': 100,
    'backend-3': 100,
  });

  const halves = spread(await typed(killed));
  expect(Object.keys(halves)).toEqual(['backend-2', 'backend-3']);
  // Those that could not connect took a turn of the other's here and there.
  expect(Math.abs((halves['backend-2'] ?? 0) - 150)).toBeLessThan(25);
  await below(`:${portOf('backend-1')} is DOWN`);

  await typed(sick);
  await below(`:${portOf('backend-2')} is DOWN`);

  const one = await typed(alone);
  expect(one).toContain('1 of 3 backends alive');
  expect(one).not.toContain('panic');
  expect(spread(one)).toEqual({ 'backend-3': 300 });

  await typed(well);
  await below(`:${portOf('backend-2')} is UP`);

  expect(spread(await typed(weighed))).toEqual({ 'backend-2': 75, 'backend-3': 225 });

  const emptied = await typed(drained);
  expect(emptied).toContain('is drained');
  expect(spread(emptied)).toEqual({ 'backend-2': 300 });

  const shares = spread(await typed(least));
  expect(Object.keys(shares)).toEqual(['backend-2', 'backend-3']);

  expect(await typed(metrics)).toContain('fairlead_backend_up{');
  // No line per request carries the guide away.
  expect(demo.output().slice(guide.length)).not.toContain('"path"');
  expect(await demo.stop('SIGINT')).toBe(0);
});
