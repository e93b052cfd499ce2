/** `fairlead check`: everything that is wrong with a config, or one line that says that it is fine. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasRoute, isLeftOut } from '../config/effective-route.ts';
import { nameOfListener } from '../config/listener-name.ts';
import { DEFAULT_POOL, type ListenerSettings, type Settings } from '../config/settings.ts';
import { diffWithFile, diffWithRunning } from './check-diff.ts';
import { type CommandSpec, HELP_FLAG } from './command-spec.ts';
import { EXIT_FINE } from './exit.ts';
import { UsageError, withUsageErrors } from './tool-flags.ts';
import { withSettings } from './with-settings.ts';

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
  return withUsageErrors('check', () =>
    withSettings(args, CHECK, async (loaded, switches, { input, values }) => {
      const { settings, notes } = loaded;
      for (const note of notes) process.stderr.write(`note: ${note}\n`);
      for (const note of notesOnSockets(settings)) process.stderr.write(`note: ${note}\n`);
      const { pools, routedPools } = settings;
      if (routedPools.length > 0 && pools.every(({ backends }) => backends.length === 0))
        process.stderr.write('note: there are no backends\n');
      process.stdout.write(`ok: ${summary(settings)}\n`);
      const other = values.get('diff');
      if ((values.has('admin') || values.has('token')) && !switches.has('diff')) {
        throw new UsageError('--admin and --token go with --diff');
      }
      if (other !== undefined) return diffWithFile(input, loaded, other);
      if (!switches.has('diff')) return EXIT_FINE;
      return diffWithRunning(input, { admin: values.get('admin'), token: values.get('token') });
    }),
  );
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
