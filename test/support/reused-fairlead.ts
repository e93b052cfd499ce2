/**
 * One process for the tests of a file, one after the other: each gets it with a config of its own, by a reload, which costs next to
 * nothing where a start costs more than half a second of processor time. What a test sees of the log begins with its own reload.
 *
 * For tests that can't tell: counters and the ids of backends go on from where the test before has left them (`firstId`). What would
 * show otherwise is taken back between two tests, the backends, the changes of the admin API, the connections of clients, or else the
 * process is ended and the next test has a new one. A test may end it as well.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterFile, afterTest } from './after-test.ts';
import { type Fairlead, type FairleadOptions, type LogLine, startFairlead } from './fairlead.ts';
import { waitFor } from './wait-for.ts';

type Config = Readonly<Record<string, unknown>>;

export interface ReusedOptions extends Pick<FairleadOptions, 'args' | 'env' | 'descriptors'> {
  /** In a file of its own, and with ports that the harness chose for `port` and `admin_port`. */
  readonly config: Config;
}

export interface ReusedFairlead extends Fairlead {
  /** The id of the first backend of the pool `default`; the others of the config follow. */
  readonly firstId: number;
}

/** Nothing, and said so. */
const EMPTY: Config = { backends: [], access_log: false };
/** What a process keeps for as long as it lives. */
const NEEDS_RESTART = new Set(['admin', 'cluster', 'state_file', 'threads']);
/** Longer than what a test has left behind needs to end by itself; else the process ends with it. */
const TIDY_MS = 2_000;

/** Those that no test has at the moment, by how they were started. */
const idle = new Map<string, Fairlead[]>();

export async function reusedFairlead(options: ReusedOptions): Promise<ReusedFairlead> {
  const kept = Object.entries(options.config).filter(([key]) => NEEDS_RESTART.has(key));
  const key = JSON.stringify([options.args, options.env, options.descriptors, kept]);
  const before = idle.get(key)?.pop();
  const process = before ?? (await startFairlead({ ...options, isShared: true }));
  const begunAtMs = before === undefined ? 0 : Date.now();
  // Lines of the test before may still be on their way.
  const isOurs = ({ time }: LogLine): boolean =>
    typeof time !== 'string' || Date.parse(time) >= begunAtMs;
  const lines = before?.logs().length ?? 0;
  const accessLines = before?.accessLines().length ?? 0;
  let isOver = false;
  afterTest(async () => {
    if (isOver) return;
    if (!(await isTidied(process, Object.fromEntries(kept)))) return process.kill();
    const others = idle.get(key);
    if (others !== undefined) others.push(process);
    else {
      idle.set(key, [process]);
      afterFile(() => void idle.delete(key));
    }
  });
  if (before !== undefined) {
    await reload(before, options.config);
    // A start says that it listens after the first round of checks.
    await waitFor(() => areChecked(before));
  }
  const logs = (): LogLine[] => process.logs().slice(lines).filter(isOurs);
  return {
    ...process,
    firstId: await firstIdOf(process),
    logs,
    accessLines: () => process.accessLines().slice(accessLines).filter(isOurs),
    waitForLog: async (predicate, ms) => {
      try {
        return await waitFor(() => logs().find(predicate), ms);
      } catch (error) {
        throw new Error(`The log has no such line:\n${process.output()}`, { cause: error });
      }
    },
    stop: (...how) => {
      isOver = true;
      return process.stop(...how);
    },
    kill: () => {
      isOver = true;
      return process.kill();
    },
  };
}

/** @returns how many changes of the admin API lie over the config */
async function reload({ cwd, adminUrl }: Fairlead, config: Config): Promise<number> {
  await writeFile(join(cwd, 'fairlead.config.json'), JSON.stringify(config, null, 2));
  const answer = await fetch(`${adminUrl}/reload`, { method: 'POST' });
  const text = await answer.text();
  if (answer.ok) return (JSON.parse(text) as { api_changes: number }).api_changes;
  // As startFairlead says it: onFreePorts takes other ones then.
  const how = text.includes('EADDRINUSE') ? 'did not start (3)' : 'does not take the config';
  throw new Error(`Fairlead ${how}: ${text}`);
}

/** Whether it is as if newly started, without backends and clients. */
async function isTidied(process: Fairlead, kept: Config): Promise<boolean> {
  try {
    if ((await reload(process, { ...kept, ...EMPTY })) > 0) {
      await fetch(`${process.adminUrl}/overrides?pool=default`, { method: 'DELETE' });
      if ((await reload(process, { ...kept, ...EMPTY })) > 0) return false;
    }
    return await waitFor(async () => {
      const page = await (await fetch(`${process.adminUrl}/metrics`)).text();
      return /^fairlead_client_connections 0$/m.test(page);
    }, TIDY_MS);
  } catch {
    // It may have ended, or refuse: nobody's fault, and nobody's to tell.
    return false;
  }
}

async function areChecked({ adminUrl }: Fairlead): Promise<boolean> {
  const get = async (path: string): Promise<unknown> => (await fetch(adminUrl + path)).json();
  const pools = (await get('/pools')) as { name: string }[];
  for (const { name } of pools) {
    const backends = (await get(`/pools/${name}/backends`)) as { health: string; state: string }[];
    if (backends.some(({ health, state }) => state === 'enabled' && health === 'unknown')) {
      return false;
    }
  }
  return true;
}

async function firstIdOf({ adminUrl }: Fairlead): Promise<number> {
  const backends = (await (await fetch(`${adminUrl}/backends`)).json()) as { id: number }[];
  return Math.min(...backends.map(({ id }) => id));
}
