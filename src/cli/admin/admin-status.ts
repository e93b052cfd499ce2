/** `fairlead status` and `fairlead healthcheck`: how the running instance is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_POOL } from '../../config/settings.ts';
import { formatDuration } from '../../config/values/duration.ts';
import { printable } from '../../observe/pretty-line.ts';
import type { CommandSpec } from '../command-spec.ts';
import { table } from '../terminal/table.ts';
import { parseFlags } from '../tool-flags.ts';
import { type AdminClient, AdminError } from './admin-client.ts';
import { ADMIN_EXIT_CODES, ADMIN_FLAGS, noArguments, runAdminCommand } from './admin-command.ts';
import { POOL_FLAG, type ShownPool } from './admin-pools.ts';
import { degradedWhy, troublesOf } from './instance-troubles.ts';
import { latencyOf, lookAtPools, type PoolStatus, unkeptLines } from './pool-status.ts';

const WATCH_EVERY_MS = 1000;
/** The cursor to the corner, and everything below it away. */
const CLEAR = '\u001B[H\u001B[J';

export const STATUS = {
  name: 'status',
  usage: '[options]',
  about: `Shows the strategy and every backend of the running instance, pool by pool, and above them what is wrong with the instance itself.
REQUESTS counts requests of clients, by the backend where each ended. ATTEMPTS FAILED counts attempts: a request that is tried at
several backends, or several times, may have failed at each, so that there may be more of them than requests.`,
  flags: {
    watch: { type: 'boolean', help: 'again every second, until Ctrl-C' },
    ...POOL_FLAG,
    ...ADMIN_FLAGS,
    pool: { ...POOL_FLAG.pool, help: 'of this pool only' },
  },
  examples: ['fairlead status', "fairlead status --json | jq '.backends[].health'"],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export const HEALTHCHECK = {
  name: 'healthcheck',
  usage: '[options]',
  about:
    'Exit code 0 if the running instance is ready, also where it is degraded, 1 if it is not: for HEALTHCHECK of a container.',
  flags: ADMIN_FLAGS,
  examples: ['fairlead healthcheck', 'fairlead healthcheck --admin http://127.0.0.1:9100'],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

export function runStatus(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, STATUS.flags);
  return runAdminCommand(STATUS, parse, async (client, parsed, show) => {
    noArguments(parsed.positionals);
    const { pool } = parsed.values;
    const showOnce = async (): Promise<void> => {
      const { answer, text } = await lookAt(client, pool, parsed.values.json === true);
      if (parsed.values.watch === true && process.stdout.isTTY) process.stdout.write(CLEAR);
      show(answer, text);
    };
    await showOnce();
    while (parsed.values.watch === true) {
      await sleep(WATCH_EVERY_MS);
      // An instance that is started anew is worth waiting for.
      await showOnce().catch((error: unknown) => {
        if (!(error instanceof AdminError)) throw error;
        process.stderr.write(`error: ${error.message}\n`);
      });
    }
  });
}

export function runHealthcheck(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADMIN_FLAGS);
  return runAdminCommand(HEALTHCHECK, parse, async (client, { positionals }, show) => {
    noArguments(positionals);
    const answer = await client.callForObject('GET', '/readyz');
    const why = degradedWhy(answer);
    show(answer, why === undefined ? 'ready' : `degraded: ${printable(why)}`);
  });
}

interface Seen {
  readonly answer: unknown;
  readonly text: string;
}

async function lookAt(
  client: AdminClient,
  name: string | undefined,
  isForMachines: boolean,
): Promise<Seen> {
  const all = await lookAtPools(client, name);
  const [first] = all;
  const troubles = isForMachines ? [] : await troublesOf(client, first?.status);
  const pools = all.map(({ pool, status }) => describe(status, pool)).join('\n\n');
  const text = [...troubles, pools].join('\n');
  // Of one pool, whether it was asked for or is the only one, the answer is its own.
  if (first !== undefined && (name !== undefined || first.pool === undefined)) {
    return { answer: first.status, text };
  }
  return {
    answer: {
      pools: all.map(({ pool, status }) => ({ name: pool?.name, routed: pool?.routed, ...status })),
    },
    text,
  };
}

function describe(status: PoolStatus, pool?: ShownPool): string {
  const { strategy, active_backends: active, total_backends: total } = status;
  const up = formatDuration(Math.floor(status.uptime_seconds) * 1000);
  const leaving = (status.leaving ?? []).map(
    ({ id, pool: its = DEFAULT_POOL, url, in_flight: left }) => {
      const which = its === DEFAULT_POOL ? `backend ${id}` : `backend ${id} of pool ${its}`;
      return `${url} (${which}) is removed, with ${left} in flight`;
    },
  );
  const panic = status.panic ? ', PANIC: unhealthy ones are used as well' : '';
  const name = pool === undefined ? '' : `pool ${pool.name}: `;
  const use = pool === undefined || pool.routed ? '' : ', used by no route';
  const first = `${name}${strategy}, ${active} of ${total} backends alive${panic}${use}, up ${up}`;
  const summary = [first, ...leaving, ...unkeptLines(status)].join('\n');
  const flag = pool === undefined ? '' : ` --pool ${pool.name}`;
  if (total === 0) return `${summary}\nfairlead add URL${flag} adds a backend`;
  const rows = status.backends.map((backend) => [
    String(backend.id),
    backend.url,
    String(backend.weight),
    backend.alive ? 'yes' : 'no',
    backend.drained === true ? 'drained' : backend.state,
    backend.health,
    String(backend.conns),
    String(backend.requests),
    String(backend.errors),
    latencyOf(backend),
    backend.why ?? backend.reason ?? '',
  ]);
  return `${summary}\n\n${table([HEADINGS, ...rows], NUMBERS)}`;
}

const HEADINGS = [
  'ID',
  'BACKEND',
  'WEIGHT',
  'ALIVE',
  'STATE',
  'HEALTH',
  'IN FLIGHT',
  'REQUESTS',
  'ATTEMPTS FAILED',
  'LATENCY',
  'WHY',
];
/** Numbers stand at the right of their column. */
const NUMBERS = new Set([2, 6, 7, 8, 9]);
