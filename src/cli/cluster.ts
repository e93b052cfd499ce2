/** `fairlead cluster init|status|import|export|accept-epoch|rotate-secret`: what the instances of a cluster share, in etcd. */
import { stringify } from 'yaml';
import { writtenConfig } from '../config/load.ts';
import { isMapping, type RawConfig, withoutKeys } from '../config/read/layer.ts';
import type { ClusterSettings } from '../config/settings.ts';
import { sharedIn } from '../config/shared-config.ts';
import { openStore } from '../control/cluster/follow-cluster.ts';
import { LastKnownGood } from '../control/cluster/last-known-good.ts';
import { memberOf } from '../control/cluster/members.ts';
import { type RegistryStore, StoreError } from '../control/cluster/registry-store.ts';
import { Seal } from '../control/cluster/sealed.ts';
import { beginRotation } from '../control/cluster/shared-secrets.ts';
import {
  acceptStore,
  beginStore,
  ContentRefused,
  exportFrom,
  importInto,
  type ListedStore,
  statesIn,
} from '../control/cluster/store-content.ts';
import { StoreKeys } from '../control/cluster/store-keys.ts';
import { AdminClient, AdminError } from './admin/admin-client.ts';
import { adminTarget } from './admin/admin-command.ts';
import { isStoreFollowed, showCluster } from './cluster-status.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { EXIT_FAILED, EXIT_FINE } from './exit.ts';
import { writeJson } from './json-output.ts';
import { parseSettingFlags } from './settings-flags.ts';
import { UsageError, withUsageErrors } from './tool-flags.ts';
import { type WithSettings, withSettings } from './with-settings.ts';

const ACTIONS = ['init', 'status', 'import', 'export', 'accept-epoch', 'rotate-secret'] as const;

export const CLUSTER = {
  name: 'cluster',
  usage: 'init|status|import|export|accept-epoch|rotate-secret [--config FILE]',
  about: `init          write the pools and routes of the config to the etcd that its key "cluster" names, which has none of this cluster yet
status        who is in it, what each instance runs on, and where they disagree: asked of a running instance
import        make the pools and routes of the cluster those of the config; what operators changed about them stays
export        print the pools and routes of the cluster as a config, which import and init take
accept-epoch  the store is the one from now on, for the instances that hold on to what was there before (after a restore)
rotate-secret a new secret that signs session cookies; the instances go over to it without ending a session`,
  flags: {
    admin: { type: 'string', value: 'URL', help: 'status: where a running instance is' },
    token: { type: 'string', value: 'TOKEN', help: 'status: its token' },
    kept: {
      type: 'boolean',
      help: `export: of the copy that the instance with this config keeps on its disk, where the store has lost it`,
    },
    json: {
      type: 'boolean',
      help: `as JSON: init { epoch, pools, backends, routes }, status what GET /cluster answers,
import { pools, backends, routes, written, removed }, export { cluster, pools, routes },
accept-epoch { epoch, succeeds }, rotate-secret { rotating }`,
    },
    ...HELP_FLAG,
  },
  takesSettings: true,
  words: ACTIONS,
  examples: [
    'fairlead cluster init --config fairlead.yaml',
    'fairlead cluster status --admin http://10.0.0.5:9000',
    'fairlead cluster export --config fairlead.yaml > pools.yaml',
    'fairlead cluster export --config fairlead.yaml --kept > pools.yaml',
  ],
  exitCodes:
    '0 fine, 1 refused, or etcd or the instance was not reachable (status shows what is known all the same), 2 a bad config or argument.',
} as const satisfies CommandSpec;

export function runCluster(args: readonly string[]): Promise<number> {
  return withUsageErrors('cluster', async () => {
    const [word, ...rest] = args;
    if (word === '--help' || word === '-h') {
      process.stdout.write(helpOf(CLUSTER));
      return EXIT_FINE;
    }
    const action = ACTIONS.find((one) => one === word);
    if (action === undefined) {
      throw new UsageError(`say what to do: fairlead cluster ${ACTIONS.join('|')}`);
    }
    return action === 'status' ? status(rest) : withSettings(rest, CLUSTER, inStore(action));
  });
}

/** Of a config it wants the address only, and that only where it was not given: what is wrong with one may be why it is called. */
async function status(args: readonly string[]): Promise<number> {
  const spec: CommandSpec = CLUSTER;
  const { flags, switches, own } = parseSettingFlags(args, spec.flags);
  if (switches.has('help')) {
    process.stdout.write(helpOf(CLUSTER));
    return EXIT_FINE;
  }
  const { config } = flags;
  const given = {
    admin: own.get('admin'),
    token: own.get('token'),
    ...(typeof config === 'string' && { config }),
  };
  const client = new AdminClient(adminTarget(given, process.env, process.cwd()));
  try {
    const answer = await client.callForObject('GET', '/cluster');
    if (switches.has('json')) writeJson(answer);
    else process.stdout.write(showCluster(answer));
    return isStoreFollowed(answer) ? EXIT_FINE : EXIT_FAILED;
  } catch (error) {
    if (!(error instanceof AdminError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    return error.exitCode;
  }
}

/** What it has done, for machines and for people. */
interface Done {
  readonly answer: object;
  readonly text: string;
}

type Action = Exclude<(typeof ACTIONS)[number], 'status'>;
type InStore = (
  store: RegistryStore,
  keys: StoreKeys,
  ...of: Parameters<WithSettings>
) => Promise<Done>;

function inStore(action: Action): WithSettings {
  return async (loaded, switches, given) => {
    const { cluster } = loaded.settings;
    if (cluster === null) throw new UsageError('the config has no key "cluster"');
    const store = openStore(cluster);
    try {
      const keys = new StoreKeys(cluster.etcd.prefix, cluster.name);
      const { answer, text } = await DO[action](store, keys, loaded, switches, given);
      if (switches.has('json')) writeJson(answer);
      else process.stdout.write(text);
      return EXIT_FINE;
    } catch (error) {
      if (!(error instanceof StoreError || error instanceof ContentRefused)) throw error;
      process.stderr.write(`error: ${error.message}\n`);
      return EXIT_FAILED;
    } finally {
      await store.close();
    }
  };
}

const DO: Readonly<Record<Action, InStore>> = {
  async init(store, keys, loaded, _switches, { input }) {
    const content = { shared: writtenShared(input), settings: loaded.settings };
    const begun = await beginStore(store, keys, content);
    const text = `${countsOf(begun)} written to ${whereIs(loaded.settings.cluster, keys)}\n`;
    return { answer: begun, text };
  },
  async import(store, keys, loaded, _switches, { input }) {
    const content = { shared: writtenShared(input), settings: loaded.settings };
    const done = await importInto(store, keys, content);
    const { written, removed } = done;
    const what =
      written + removed === 0
        ? 'nothing differs'
        : `${written} objects written, ${removed} removed`;
    return { answer: done, text: `${countsOf(done)}: ${what}\n` };
  },
  async export(store, keys, { settings }, switches, { input }) {
    const from = switches.has('kept') ? await keptCopy(settings.cluster, keys) : store;
    const cluster = writtenCluster(input);
    if (settings.cluster?.etcd.login !== null || settings.redis !== null) {
      process.stderr.write(
        'note: users and passwords are not printed: write them in before it is imported\n',
      );
    }
    const config = { ...(cluster && { cluster }), ...(await exportFrom(from, keys)) };
    for (const { pool, url, state } of await statesIn(from, keys)) {
      process.stderr.write(
        `note: ${url} in pool ${pool} is ${state}, which a config can't say: do it again where the cluster is begun anew\n`,
      );
    }
    return { answer: config, text: stringify(config) };
  },
  async 'accept-epoch'(store, keys) {
    const { objects } = await store.list(keys.members);
    const known = objects.flatMap(memberOf).flatMap(({ epoch }) => epoch ?? []);
    const epoch = await acceptStore(store, keys, known);
    return {
      answer: { epoch, succeeds: known },
      text: `the store is the one from now on, for the instances that are running; its epoch is ${epoch}\n`,
    };
  },
  async 'rotate-secret'(store, keys, { settings }) {
    const key = settings.cluster?.key;
    if (key === undefined) {
      throw new UsageError('the config has no cluster.key_file: the instances share no secret');
    }
    await beginRotation(store, keys, Seal.of(key));
    const text =
      'a new secret of session cookies is in the store: the instances sign with it as soon as all of them have it, and take the one before as long as a cookie may live\n';
    return { answer: { rotating: 'cookies' }, text };
  },
};

/** One without the other is refused. */
const LOGIN = new Set(['user', 'username', 'password']);

async function keptCopy(cluster: ClusterSettings | null, keys: StoreKeys): Promise<ListedStore> {
  const path = cluster?.snapshotFile;
  if (path === undefined) throw new ContentRefused('the config has cluster.snapshot_file: false');
  const copy = await new LastKnownGood(path, keys.root).load();
  if (copy === undefined) {
    throw new ContentRefused(
      `there is no copy of ${keys.root} at ${path}: take the config of an instance, where it runs`,
    );
  }
  const listing = { revision: copy.revision, objects: [...copy.objects.values()] };
  return { list: async () => listing };
}

/** Where the instances agree, so that what is exported can be imported. What one instance is called, and passwords, stay where they are. */
function writtenCluster(input: Parameters<typeof writtenConfig>[0]): RawConfig | undefined {
  const written = writtenConfig(input);
  const cluster = isMapping(written) ? written['cluster'] : undefined;
  if (!isMapping(cluster)) return undefined;
  const own = new Set(['instance', 'address', 'snapshot_file', 'key', 'key_file']);
  const [shared, engines] = [withoutKeys(cluster, own), ['etcd', 'redis']];
  const open = engines.flatMap((name) => {
    const engine = shared[name];
    return isMapping(engine) ? [[name, withoutKeys(engine, LOGIN)]] : [];
  });
  return { ...shared, ...Object.fromEntries(open) };
}

function writtenShared(input: Parameters<typeof writtenConfig>[0]) {
  const written = writtenConfig(input);
  if (!isMapping(written)) throw new UsageError('needs a config file: --config FILE');
  return sharedIn(written);
}

function countsOf({
  pools,
  backends,
  routes,
}: {
  readonly pools: number;
  readonly backends: number;
  readonly routes: number;
}): string {
  return `${count(pools, 'pool')}, ${count(backends, 'backend')}, ${count(routes, 'route')}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function whereIs(cluster: ClusterSettings | null, keys: StoreKeys): string {
  return `${cluster?.etcd.endpoints.join(', ')} below ${keys.root}`;
}
