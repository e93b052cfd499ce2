/** `fairlead top`: the pools of the running instance, live, on a terminal; elsewhere once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type AdminClient, AdminError } from './admin/admin-client.ts';
import {
  ADMIN_EXIT_CODES,
  ADMIN_FLAGS,
  noArguments,
  runAdminCommand,
} from './admin/admin-command.ts';
import { POOL_FLAG } from './admin/admin-pools.ts';
import { troublesOf } from './admin/instance-troubles.ts';
import { lookAtPools } from './admin/pool-status.ts';
import type { CommandSpec } from './command-spec.ts';
import { FullScreen } from './terminal/full-screen.ts';
import { type Sample, viewOf } from './terminal/top-view.ts';
import { parseFlags } from './tool-flags.ts';

const EVERY_MS = 1000;

export const TOP = {
  name: 'top',
  usage: '[--pool NAME] [options]',
  about: `Shows every backend of the running instance with its state, its requests and errors per second, and why it gets requests or not,
anew each second. Ends with q or Ctrl-C. Where standard output is no terminal it looks twice within a second, and prints that once.`,
  flags: {
    ...POOL_FLAG,
    ...ADMIN_FLAGS,
    pool: { ...POOL_FLAG.pool, help: 'this pool only' },
  },
  examples: ['fairlead top', 'fairlead top --pool api --admin http://10.0.0.5:9000'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export function runTop(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, TOP.flags);
  return runAdminCommand(TOP, parse, async (client, { values, positionals }, show) => {
    noArguments(positionals);
    const { pool, json } = values;
    const first = await look(client, pool);
    if (json === true) {
      show({ pools: first.pools.map(({ pool: its, status }) => ({ ...its, ...status })) }, '');
    } else if (process.stdout.isTTY) {
      await watch(client, pool, first);
    } else {
      await sleep(EVERY_MS);
      show({}, viewOf(await look(client, pool), first).join('\n'));
    }
  });
}

async function look(client: AdminClient, pool: string | undefined): Promise<Sample> {
  const pools = await lookAtPools(client, pool);
  const atMs = performance.now();
  return { atMs, pools, troubles: await troublesOf(client, pools[0]?.status) };
}

async function watch(client: AdminClient, pool: string | undefined, first: Sample): Promise<void> {
  let now = first;
  let before: Sample | undefined;
  let trouble: string | undefined;
  const screen = new FullScreen((size) => {
    const lines = viewOf(now, before, { ...size, rows: size.rows - 1 });
    return [...lines, trouble ?? 'q ends'];
  });
  try {
    while (!(await screen.endsWithin(EVERY_MS))) {
      try {
        const next = await Promise.race([look(client, pool), screen.ended]);
        if (next === undefined) return;
        before = now;
        now = next;
        trouble = undefined;
      } catch (error) {
        // An instance that is started anew is worth waiting for.
        if (!(error instanceof AdminError)) throw error;
        trouble = `error: ${error.message.split('\n', 1)[0] ?? ''}`;
      }
      screen.draw();
    }
  } finally {
    screen.close();
  }
}
