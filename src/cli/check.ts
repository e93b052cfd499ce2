/** `fairlead check`: everything that is wrong with a config, or one line that says that it is fine. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasRoute, isLeftOut } from '../config/effective/effective-route.ts';
import type { LoadInput } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { DEFAULT_POOL, type ListenerSettings, type Settings } from '../config/settings.ts';
import { nameOfListener } from '../config/values/listener-name.ts';
import type { AdminFlags } from './admin/admin-command.ts';
import {
  type Compared,
  compareWithFile,
  compareWithRunning,
  showComparison,
} from './check-diff.ts';
import { notesOnStateFile, unusableFiles } from './check-files.ts';
import { type CommandSpec, HELP_FLAG } from './command-spec.ts';
import { complain, EXIT_FINE, EXIT_USAGE } from './exit.ts';
import { writeJson } from './json-output.ts';
import { UsageError, withUsageErrors } from './tool-flags.ts';
import { type Loaded, type WithSettings, withSettings } from './with-settings.ts';

export const CHECK = {
  name: 'check',
  usage: '[URL…] [--config FILE] [--diff[=FILE]] [options]',
  about: `Says everything that is wrong with a config, with file:line:column; exit code 2 if there is anything. Environment and
flags count as they would for \`fairlead\` with the same arguments.`,
  flags: {
    diff: {
      type: 'string',
      value: 'FILE',
      isValueOptional: true,
      help: 'and what it would change: beside FILE, or of the running instance, which reads it as at a reload',
    },
    admin: {
      type: 'string',
      value: 'URL',
      help: 'where the running instance is (as for `fairlead status`)',
    },
    token: { type: 'string', value: 'TOKEN', help: 'its token (likewise)' },
    json: {
      type: 'boolean',
      help: 'as JSON: { ok, config_file, problems, notes }, and with --diff beside and difference',
    },
    ...HELP_FLAG,
  },
  takesSettings: true,
  examples: [
    'fairlead check --config fairlead.yaml',
    'fairlead check --config next.yaml --diff=fairlead.yaml',
  ],
  exitCodes: '0 fine, 1 the instance refused or was not reachable, 2 a bad config or argument.',
} as const satisfies CommandSpec;

export function runCheck(args: readonly string[]): Promise<number> {
  return withUsageErrors('check', () => withSettings(args, CHECK, validate, refuse));
}

const validate: WithSettings = async (loaded, switches, { input, values }) => {
  const { settings } = loaded;
  const other = values.get('diff');
  const isCompared = other !== undefined || switches.has('diff');
  const admin = { admin: values.get('admin'), token: values.get('token') };
  if (!isCompared && (admin.admin ?? admin.token) !== undefined) {
    throw new UsageError('--admin and --token go with --diff');
  }
  const unusable = unusableFiles(loaded);
  if (unusable.length > 0) return refuse(unusable, switches);
  const notes = [
    ...loaded.notes,
    ...notesOnSockets(settings),
    ...notesOnStateFile(settings),
    ...notesOnBackends(settings),
  ];
  const isForMachines = switches.has('json');
  if (!isForMachines) {
    for (const note of notes) process.stderr.write(`note: ${note}\n`);
    process.stdout.write(`ok: ${summary(settings)}\n`);
  }
  const compared = await compare(input, loaded, other, isCompared ? admin : undefined);
  if (typeof compared === 'number') return compared;
  if (!isForMachines) {
    if (compared !== undefined) showComparison(compared);
    return EXIT_FINE;
  }
  const { configFile = null } = settings;
  writeJson({ ok: true, config_file: configFile, problems: [], notes, ...compared });
  return EXIT_FINE;
};

function refuse(problems: readonly Problem[], switches: ReadonlySet<string>): number {
  if (!switches.has('json')) complain(problems);
  else writeJson({ ok: false, config_file: null, problems, notes: [] });
  return EXIT_USAGE;
}

/** @returns the exit code where there is nothing to compare with; undefined where nobody asked. */
function compare(
  input: LoadInput,
  loaded: Loaded,
  other: string | undefined,
  admin: AdminFlags | undefined,
): number | Compared | undefined | Promise<number | Compared> {
  if (other !== undefined) return compareWithFile(input, loaded, other);
  return admin === undefined ? undefined : compareWithRunning(input, admin);
}

function notesOnBackends({ pools, routedPools }: Settings): string[] {
  const isEmpty = routedPools.length > 0 && pools.every(({ backends }) => backends.length === 0);
  return isEmpty ? ['there are no backends'] : [];
}

/** What is seen only at the start: a folder may be made until then (systemd `RuntimeDirectory=`). */
function notesOnSockets({ listeners }: Settings): string[] {
  return listeners.flatMap(({ path, address }) => {
    if (address.kind === 'inherited') {
      return `${path} takes a socket called ${address.name} that is open when Fairlead starts (LISTEN_FDNAMES): whether there is one is seen only then`;
    }
    if (address.kind !== 'unix' || existsSync(dirname(address.path))) return [];
    return `${path} needs the folder ${dirname(address.path)} for its socket, and there is none yet`;
  });
}

function summary(settings: Settings): string {
  const { pools, routes, listeners, admin, configFile } = settings;
  const [{ strategy }] = pools;
  const backends = pools.reduce((sum, pool) => sum + pool.backends.length, 0);
  // There is a pool default even where nobody wrote or uses it.
  const used = pools.filter(({ name }) => name !== DEFAULT_POOL || hasRoute(settings, name)).length;
  const isShort = pools.length === 1 && routes.every(isLeftOut);
  return [
    count(backends, 'backend'),
    ...(isShort ? [strategy] : [count(used, 'pool'), count(routes.length, 'route')]),
    ...listeners.map(describeListener),
    adminText(admin),
    configFile === undefined ? 'no config file' : `config file ${configFile}`,
  ].join(', ');
}

function describeListener({ address, tls }: ListenerSettings): string {
  const where =
    address.kind === 'tcp' && address.host === undefined
      ? `port ${address.port}`
      : nameOfListener(address);
  return tls === undefined ? where : `${where} (TLS)`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function adminText({ isOff, unix, port }: Settings['admin']): string {
  if (isOff) return 'no admin API';
  return unix === null ? `admin port ${port}` : `admin API on unix:${unix.path}`;
}
