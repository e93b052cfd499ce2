/** `fairlead explain`: what would become of a request at the running instance, and why. */
import {
  ADMIN_EXIT_CODES,
  ADMIN_FLAGS,
  onlyArgument,
  runAdminCommand,
} from './admin/admin-command.ts';
import { latencyOf } from './admin/pool-status.ts';
import type { CommandSpec } from './command-spec.ts';
import { table } from './terminal/table.ts';
import { parseFlags, UsageError } from './tool-flags.ts';

export const EXPLAIN = {
  name: 'explain',
  usage: 'URL [options]',
  about: `Says which route a request for URL would get, and why no other; what that route does; and which backend would be picked, by
which draw. Nothing is sent, and nothing is changed.`,
  flags: {
    method: { type: 'string', value: 'NAME', help: 'GET, if it is not given' },
    header: {
      type: 'string',
      short: 'H',
      multiple: true,
      value: "'N: V'",
      help: 'a header field; may be given several times',
    },
    client: {
      type: 'string',
      value: 'IP',
      help: 'the address that the request comes from (127.0.0.1)',
    },
    ...ADMIN_FLAGS,
  },
  examples: [
    "fairlead explain https://shop.example/cart -H 'Cookie: session=7' --client 203.0.113.9",
  ],
  exitCodes: ADMIN_EXIT_CODES,
} as const satisfies CommandSpec;

/** Of the answer, what is shown. */
interface Explained {
  readonly summary: string;
  readonly routes: readonly {
    readonly name: string;
    readonly matches: boolean;
    readonly why: string;
  }[];
  readonly routes_left_out: number;
  readonly route: string | null;
  readonly answer: { readonly status: number; readonly detail: string } | null;
  readonly needs_login: boolean;
  readonly forwards: { readonly target: string } | null;
  readonly mirror: { readonly pool: string | null; readonly is_next: boolean } | null;
  readonly pool: ExplainedPool | null;
}

interface ExplainedPool {
  readonly name: string;
  readonly strategy: string;
  readonly key: { readonly by: string; readonly name: string; readonly value: string } | null;
  readonly session: { readonly key: string | null; readonly backend: number | null } | null;
  readonly draws: readonly { readonly why: string }[];
  readonly candidates: readonly Candidate[];
  readonly candidates_left_out: number;
}

interface Candidate {
  readonly id: number;
  readonly url: string | null;
  readonly picked: boolean;
  readonly weight: number;
  readonly in_flight: number;
  readonly latency_ms: number | null;
  readonly cost: number | null;
  readonly has_room: boolean;
  readonly why: string | null;
}

export function runExplain(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, EXPLAIN.flags);
  return runAdminCommand(EXPLAIN, parse, async (client, { values, positionals }, show) => {
    const url = onlyArgument(positionals, 'Which URL?');
    const question = {
      ...partsOf(url),
      ...(values.method !== undefined && { method: values.method }),
      ...(values.client !== undefined && { client: values.client }),
      headers: headersOf(values.header ?? []),
    };
    const answer = await client.callForObject('POST', '/explain', question);
    show(answer, describe(answer as unknown as Explained));
  });
}

/** As it stands: what would be tidied up here is what routes have to cope with. */
function partsOf(url: string): { scheme: string; host: string; path: string } {
  const [, scheme = 'http', authority = '', rest = ''] =
    /^(?:(https?):\/\/)?([^/?#]*)([^#]*)/i.exec(url) ?? [];
  const host = authority.startsWith(':') ? `localhost${authority}` : authority;
  if (host === '' || url.includes('://') !== /^https?:\/\//i.test(url)) {
    throw new UsageError(`"${url}" is no URL of a request, like https://shop.example/cart`);
  }
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return { scheme: scheme.toLowerCase(), host, path };
}

/** Throws `UsageError`. */
function headersOf(lines: readonly string[]): Record<string, string[]> {
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new UsageError(`-H takes "name: value", not "${line}"`);
    const name = line.slice(0, colon).trim();
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  return Object.fromEntries(headers);
}

function describe(explained: Explained): string {
  const { summary, forwards, mirror, needs_login: needsLogin, pool } = explained;
  const lines = [summary, ''];
  if (needsLogin)
    lines.push('a name and a password are asked for first; they are not checked here');
  if (forwards !== null) lines.push(`forwarded as ${forwards.target}`);
  if (mirror !== null)
    lines.push(`mirrored to pool ${mirror.pool}: ${mirror.is_next ? 'yes' : 'not this one'}`);
  lines.push('', ...routesIn(explained));
  if (pool !== null) lines.push('', ...poolIn(pool));
  return lines
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trimEnd();
}

function routesIn({ routes, routes_left_out: leftOut, route }: Explained): string[] {
  if (routes.length === 0) return [];
  const rows = routes.map(({ name, matches, why }) => [
    matches && (route === null || name === route) ? '→' : ' ',
    name,
    matches ? 'yes' : 'no',
    why,
  ]);
  const more = leftOut === 0 ? [] : [`and ${leftOut} more`];
  return [table([['', 'ROUTE', 'MATCHES', 'WHY'], ...rows], new Set()), ...more];
}

function poolIn(pool: ExplainedPool): string[] {
  const { name, strategy, key, session, draws, candidates, candidates_left_out: leftOut } = pool;
  const lines = [`pool ${name}, ${strategy}`];
  if (key !== null)
    lines.push(
      `key: ${key.by}${key.name === '' ? '' : ` ${key.name}`} ${JSON.stringify(key.value)}`,
    );
  if (session !== null) {
    const at = session.backend === null ? 'with no backend yet' : `with backend ${session.backend}`;
    lines.push(
      session.key === null
        ? 'session: none is named'
        : `session ${JSON.stringify(session.key)}: ${at}`,
    );
  }
  lines.push(...draws.map(({ why }) => `draw: ${why}`), '');
  const rows = candidates.map((one) => [
    one.picked ? '→' : ' ',
    String(one.id),
    one.url ?? '',
    String(one.weight),
    String(one.in_flight),
    one.latency_ms === null ? '' : latencyOf({ latency_ms: one.latency_ms }),
    one.cost === null ? '' : String(one.cost),
    `${one.why ?? ''}${one.has_room ? '' : '; no room'}`,
  ]);
  const headings = ['', 'ID', 'BACKEND', 'WEIGHT', 'IN FLIGHT', 'LATENCY', 'COST', 'WHY'];
  lines.push(table([headings, ...rows], new Set([1, 3, 4, 5, 6])));
  if (leftOut > 0) lines.push(`and ${leftOut} more`);
  return lines;
}
