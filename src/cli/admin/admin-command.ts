/** What the commands share that are clients of the admin API: where it is, how they end. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type LoadResult, loadSettings } from '../../config/load.ts';
import { formatProblem } from '../../config/problem.ts';
import { ADMIN_URL_VARIABLE } from '../../config/read/environment.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from '../command-spec.ts';
import { EXIT_FINE } from '../exit.ts';
import { UsageError, withUsageErrors } from '../tool-flags.ts';
import { AdminClient, AdminError, type AdminTarget } from './admin-client.ts';
import type { AdminTls } from './admin-fetch.ts';
import { POOL_FLAG } from './admin-pools.ts';
import { tokenOfConfig } from './token-of-config.ts';

const DEFAULT_URL = 'http://127.0.0.1:9000';
const TOKEN_VARIABLE = 'FAIRLEAD_ADMIN_TOKEN';
const WHERE_INSTEAD =
  '(with --admin URL, and --token TOKEN where it has one, the running instance is asked all the same)';

export const ADMIN_FLAGS = {
  admin: {
    type: 'string',
    value: 'URL',
    help: 'where the admin API is, perhaps unix:/run/admin.sock (FAIRLEAD_ADMIN_URL; else as the config says; else http://127.0.0.1:9000)',
  },
  token: {
    type: 'string',
    value: 'TOKEN',
    help: 'its token (FAIRLEAD_ADMIN_TOKEN; else as the config says)',
  },
  cacert: {
    type: 'string',
    value: 'FILE',
    help: 'with https: whose certificates are good (PEM), beside the authorities that Node trusts',
  },
  cert: {
    type: 'string',
    value: 'FILE',
    help: 'with https, and --key FILE: the certificate to show (PEM)',
  },
  key: { type: 'string', value: 'FILE', help: 'its key (PEM)' },
  config: {
    type: 'string',
    value: 'FILE',
    help: 'the config of the instance (default: as for fairlead itself, if it can be read)',
  },
  json: { type: 'boolean', help: 'what the API answers, for machines' },
  ...HELP_FLAG,
} as const satisfies CommandSpec['flags'];

export const ADMIN_EXIT_CODES = '0 fine, 1 refused or not reachable, 2 a bad argument.';

/** Of the commands that change something: of one pool, or of one backend. */
export const CHANGE_FLAGS = {
  ...POOL_FLAG,
  'not-kept': {
    type: 'boolean',
    help: 'make the change and write nothing: for a full disk, and for what ends with the next start',
  },
  wait: { type: 'boolean', help: 'in a cluster: return when all instances run on it' },
  ...ADMIN_FLAGS,
} as const satisfies CommandSpec['flags'];

/** Of those about one backend. */
export const BACKEND_FLAGS = {
  ...CHANGE_FLAGS,
  pool: {
    ...POOL_FLAG.pool,
    help: 'look for the backend in this pool only: for a URL that is in several',
  },
} as const satisfies CommandSpec['flags'];

/** The path of a call that changes something. */
export function changePath(
  path: string,
  {
    'not-kept': isNotKept = false,
    wait: waitsForAll = false,
  }: { readonly 'not-kept'?: boolean | undefined; readonly wait?: boolean | undefined },
): string {
  const more = [...(isNotKept ? ['persist=false'] : []), ...(waitsForAll ? ['wait=all'] : [])];
  if (more.length === 0) return path;
  return `${path}${path.includes('?') ? '&' : '?'}${more.join('&')}`;
}

export interface AdminFlags {
  readonly admin?: string | undefined;
  readonly token?: string | undefined;
  readonly cacert?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly config?: string | undefined;
  readonly json?: boolean | undefined;
  readonly help?: boolean | undefined;
}

/** What of an answer a person or a machine gets to see. */
export type Show = (answer: unknown, text: string) => void;

/**
 * Runs a command of the admin API: `--help` says what it does; what the API refuses is an `error: …` on standard error.
 * @param parse reads the command line. Throws `UsageError`.
 */
export function runAdminCommand<P extends { readonly values: AdminFlags }>(
  spec: CommandSpec,
  parse: () => P,
  body: (client: AdminClient, parsed: P, show: Show) => Promise<number | void>,
  answerMs?: number,
): Promise<number> {
  return withUsageErrors(spec.name, async () => {
    const parsed = parse();
    if (parsed.values.help === true) {
      process.stdout.write(helpOf(spec));
      return EXIT_FINE;
    }
    const client = new AdminClient(
      adminTarget(parsed.values, process.env, process.cwd()),
      answerMs,
    );
    const show: Show = (answer, text) => {
      const isForMachines = parsed.values.json === true;
      const { kept } = answer as { readonly kept?: unknown };
      const more = kept === false ? ' (not kept: the next start knows nothing of it)' : '';
      process.stdout.write(`${isForMachines ? JSON.stringify(answer, null, 2) : text + more}\n`);
    };
    try {
      return (await body(client, parsed, show)) ?? EXIT_FINE;
    } catch (error) {
      if (!(error instanceof AdminError)) throw error;
      process.stderr.write(`error: ${error.message}\n`);
      return error.exitCode;
    }
  });
}

/**
 * Flags win over the environment, and that over the config. A config that was not asked for may be for somebody else, or
 * hold a key that this user can't read: then the default address is as good a guess as any. Throws `UsageError`.
 */
export function adminTarget(flags: AdminFlags, env: NodeJS.ProcessEnv, cwd: string): AdminTarget {
  const target = whichTarget(flags, env, cwd);
  const tls = { ...target.tls, ...readPems(flags, cwd) };
  return Object.keys(tls).length === 0 ? target : { ...target, tls };
}

/** What --cacert, --cert and --key name. Throws `UsageError`. */
export function readPems(
  flags: Pick<AdminFlags, 'cacert' | 'cert' | 'key'>,
  cwd: string,
): Pick<AdminTls, 'ca' | 'cert' | 'key'> {
  const read = (name: 'cacert' | 'cert' | 'key'): string | undefined => {
    const file = flags[name];
    if (file === undefined) return undefined;
    try {
      return readFileSync(resolve(cwd, file), 'utf8');
    } catch (error) {
      throw new UsageError(`--${name}: ${(error as Error).message}`, { cause: error });
    }
  };
  const [ca, cert, key] = [read('cacert'), read('cert'), read('key')];
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError('--cert and --key go together');
  }
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

function whichTarget(flags: AdminFlags, env: NodeJS.ProcessEnv, cwd: string): AdminTarget {
  const variable = flags.config === undefined ? nonEmpty(env[ADMIN_URL_VARIABLE]) : undefined;
  const given = flags.admin ?? variable;
  const ownToken = flags.token ?? nonEmpty(env[TOKEN_VARIABLE]);
  if (given !== undefined) {
    const url = checkedUrl(given, cwd);
    // The token of a config that nobody named does not go to an address that is not from there.
    if (flags.config === undefined || ownToken !== undefined) return { url, token: ownToken };
    return { url, ...tokenOfConfig(flags.config, env, cwd) };
  }
  const config = readConfig(flags.config, env, cwd);
  const admin = config.ok ? config.settings.admin : undefined;
  const token = ownToken ?? admin?.token;
  if (admin?.isOff === true && flags.config !== undefined) {
    throw new UsageError(
      'this config has no admin API (admin: false): say where it is with --admin URL',
    );
  }
  if (!config.ok) {
    const [first] = config.problems.map(formatProblem);
    return { url: DEFAULT_URL, token, ...(first !== undefined && { unread: first }) };
  }
  if (admin === undefined || admin.isOff) return { url: DEFAULT_URL, token };
  if (admin.unix !== null) return { url: `unix:${admin.unix.path}`, token };
  const place = `${reachableHost(admin.host)}:${admin.port}`;
  const own = admin.tls?.certificates[0]?.cert;
  if (own === undefined) return { url: `http://${place}`, token };
  // The very certificate that the config names is good, whatever host it is for.
  const { fingerprint256: fingerprint } = new X509Certificate(own);
  return { url: `https://${place}`, token, tls: { ca: own, fingerprint } };
}

function readConfig(config: string | undefined, env: NodeJS.ProcessEnv, cwd: string): LoadResult {
  const flags = { values: [], ...(config !== undefined && { config }) };
  // A certificate that is broken is a reason to ask what runs, and none to refuse that.
  const result = loadSettings({ flags, env, cwd, certificatesInUse: [] });
  if (result.ok || config === undefined) return result;
  const problems = result.problems.map(formatProblem).join('\n');
  throw new UsageError(`${problems}\n${WHERE_INSTEAD}`);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text.trim();
}

function checkedUrl(text: string, cwd: string): string {
  if (/^unix:./i.test(text)) return `unix:${resolve(cwd, text.slice('unix:'.length))}`;
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = withScheme.replace(/^(https?:\/\/)(?=:\d)/i, '$1127.0.0.1').replace(/\/+$/, '');
  const isUsable = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
  if (!isUsable) throw new UsageError(`"${text}" is not the URL of an admin API`);
  return url;
}

/** Who listens on all addresses is reached on this machine. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** The only positional argument. Throws `UsageError`. */
export function onlyArgument(positionals: readonly string[], question: string): string {
  const [first, extra] = positionals;
  if (first === undefined) throw new UsageError(question);
  if (extra !== undefined) throw new UsageError(`Unexpected argument "${extra}"`);
  return first;
}

/** Throws `UsageError`. */
export function noArguments(positionals: readonly string[]): void {
  if (positionals.length > 0) throw new UsageError(`Unexpected argument "${positionals[0]}"`);
}
