/** `fairlead status` and `fairlead healthcheck`: how the running instance is. */
import { formatDuration } from '../config/duration.ts';
import { ADMIN_FLAGS, noArguments, runAdminCommand, type ShownBackend } from './admin-command.ts';
import { parseFlags } from './tool-flags.ts';

const STATUS_USAGE = `Usage: fairlead status [options]

Shows the strategy and every backend of the running instance.
`;

const HEALTHCHECK_USAGE = `Usage: fairlead healthcheck [options]

Exit code 0 if the running instance is ready, 1 if it is not: for HEALTHCHECK of a container.
`;

interface Status {
  readonly strategy: string;
  readonly total_backends: number;
  readonly active_backends: number;
  readonly panic: boolean;
  readonly uptime_seconds: number;
  readonly backends: readonly (ShownBackend & {
    readonly conns: number;
    readonly requests: number;
    readonly errors: number;
    readonly latency_ms: number;
    readonly reason: string | null;
    /** Why it gets requests or not, in words. */
    readonly why?: string;
  })[];
  /** Removed, with requests in flight. */
  readonly leaving?: readonly {
    readonly id: number;
    readonly url: string;
    readonly in_flight: number;
  }[];
}

export function runStatus(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADMIN_FLAGS);
  return runAdminCommand('status', STATUS_USAGE, parse, async (client, { positionals }, show) => {
    noArguments(positionals);
    const status = (await client.callForObject('GET', '/status')) as unknown as Status;
    show(status, describe(status));
  });
}

export function runHealthcheck(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADMIN_FLAGS);
  return runAdminCommand(
    'healthcheck',
    HEALTHCHECK_USAGE,
    parse,
    async (client, { positionals }, show) => {
      noArguments(positionals);
      show(await client.call('GET', '/readyz'), 'ready');
    },
  );
}

function describe(status: Status): string {
  const { strategy, active_backends: active, total_backends: total } = status;
  const up = formatDuration(Math.floor(status.uptime_seconds) * 1000);
  const leaving = (status.leaving ?? []).map(
    ({ id, url, in_flight: left }) => `${url} (backend ${id}) is removed, with ${left} in flight`,
  );
  const panic = status.panic ? ', PANIC: unhealthy ones are used as well' : '';
  const first = `${strategy}, ${active} of ${total} backends alive${panic}, up ${up}`;
  const summary = [first, ...leaving].join('\n');
  if (total === 0) return `${summary}\nfairlead add URL adds a backend`;
  const rows = status.backends.map((backend) => [
    String(backend.id),
    backend.url,
    String(backend.weight),
    backend.alive ? 'alive' : 'out',
    backend.state,
    backend.health,
    String(backend.conns),
    String(backend.requests),
    String(backend.errors),
    `${backend.latency_ms.toFixed(1)} ms`,
    backend.why ?? backend.reason ?? '',
  ]);
  return `${summary}\n\n${table([HEADINGS, ...rows])}`;
}

const HEADINGS = [
  'ID',
  'BACKEND',
  'WEIGHT',
  '',
  'STATE',
  'HEALTH',
  'IN FLIGHT',
  'REQUESTS',
  'ERRORS',
  'LATENCY',
  'WHY',
];
/** Numbers stand at the right of their column. */
const NUMBERS = new Set([2, 6, 7, 8, 9]);

function table(rows: readonly (readonly string[])[]): string {
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] as number;
          return NUMBERS.has(column) ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
