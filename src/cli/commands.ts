/** Every command: a line of it for the list, and where the rest is. A module is loaded for its own command only. */
import type { Commands } from './command-spec.ts';

/** In the order of the list. */
export const COMMANDS: Commands = {
  run: {
    shown: 'run [URL…]',
    summary: 'the proxy, as without a command',
    load: async () => {
      const { RUN, runProxy } = await import('./run.ts');
      return { spec: RUN, run: runProxy };
    },
  },
  demo: {
    shown: 'demo',
    summary: 'the proxy with three sample backends: prints what to open',
    load: async () => {
      const { DEMO, runDemo } = await import('./demo.ts');
      return { spec: DEMO, run: runDemo };
    },
  },
  backend: {
    shown: 'backend --port 8081',
    summary: 'a sample backend',
    load: async () => {
      const { BACKEND, runBackend } = await import('./backend.ts');
      return { spec: BACKEND, run: runBackend };
    },
  },
  init: {
    shown: 'init [URL…]',
    summary: 'write a commented config to start from',
    load: async () => {
      const { INIT, runInit } = await import('./init.ts');
      return { spec: INIT, run: runInit };
    },
  },
  import: {
    shown: 'import nginx FILE',
    summary: 'a config from one of nginx, and what was left out',
    load: async () => {
      const { IMPORT, runImport } = await import('./import.ts');
      return { spec: IMPORT, run: runImport };
    },
  },
  check: {
    shown: 'check --config FILE',
    summary: 'validate a config',
    load: async () => {
      const { CHECK, runCheck } = await import('./check.ts');
      return { spec: CHECK, run: runCheck };
    },
  },
  'print-config': {
    shown: 'print-config',
    summary: 'the config in force, each value with where it comes from',
    load: async () => {
      const { PRINT_CONFIG, runPrintConfig } = await import('./print-config.ts');
      return { spec: PRINT_CONFIG, run: runPrintConfig };
    },
  },
  'hash-password': {
    shown: 'hash-password',
    summary: 'what stands for a password in a config',
    load: async () => {
      const { HASH_PASSWORD, runHashPassword } = await import('./hash-password.ts');
      return { spec: HASH_PASSWORD, run: runHashPassword };
    },
  },
  token: {
    shown: 'token new NAME --role ROLE',
    summary: 'a token of the admin API: viewer or operator',
    load: async () => {
      const { TOKEN, runToken } = await import('./token.ts');
      return { spec: TOKEN, run: runToken };
    },
  },
  state: {
    shown: 'state show|clear',
    summary: 'the changes made through the admin API that are kept',
    load: async () => {
      const { STATE, runState } = await import('./state.ts');
      return { spec: STATE, run: runState };
    },
  },
  cluster: {
    shown: 'cluster init|status|import|…',
    summary: 'what several instances share, in etcd',
    load: async () => {
      const { CLUSTER, runCluster } = await import('./cluster.ts');
      return { spec: CLUSTER, run: runCluster };
    },
  },
  cert: {
    shown: 'cert dev NAME…',
    summary: 'certificates for development, from an authority of your own',
    load: async () => {
      const { CERT, runCert } = await import('./cert.ts');
      return { spec: CERT, run: runCert };
    },
  },
  try: {
    shown: 'try URL -n 100 -c 10',
    summary: 'send requests, show their spread, status codes and latency',
    load: async () => {
      const { TRY, runTry } = await import('./try.ts');
      return { spec: TRY, run: runTry };
    },
  },
  completion: {
    shown: 'completion bash|zsh|fish',
    summary: 'what makes a shell complete commands, flags and values',
    load: async () => {
      const { COMPLETION, runCompletion } = await import('./completion.ts');
      return { spec: COMPLETION, run: (args) => runCompletion(args, COMMANDS) };
    },
  },
  explain: {
    shown: "explain URL -H 'name: value'",
    summary: 'which backend a request would get, by which route, and why',
    isOfInstance: true,
    load: async () => {
      const { EXPLAIN, runExplain } = await import('./explain.ts');
      return { spec: EXPLAIN, run: runExplain };
    },
  },
  status: {
    shown: 'status',
    summary: 'the strategy and every backend, of all pools',
    isOfInstance: true,
    load: async () => {
      const { STATUS, runStatus } = await import('./admin/admin-status.ts');
      return { spec: STATUS, run: runStatus };
    },
  },
  top: {
    shown: 'top',
    summary: 'every backend live, on the terminal',
    isOfInstance: true,
    load: async () => {
      const { TOP, runTop } = await import('./top.ts');
      return { spec: TOP, run: runTop };
    },
  },
  events: {
    shown: 'events',
    summary: 'what happens, as it happens',
    isOfInstance: true,
    load: async () => {
      const { EVENTS, runEvents } = await import('./events.ts');
      return { spec: EVENTS, run: runEvents };
    },
  },
  add: {
    shown: 'add URL --weight N',
    summary: 'add a backend',
    isOfInstance: true,
    load: async () => {
      const { ADD, runAdd } = await import('./admin/admin-backends.ts');
      return { spec: ADD, run: runAdd };
    },
  },
  remove: {
    shown: 'remove ID|URL --drain 30s',
    summary: 'remove one, drained first',
    isOfInstance: true,
    load: async () => {
      const { REMOVE, runRemove } = await import('./admin/admin-drain.ts');
      return { spec: REMOVE, run: runRemove };
    },
  },
  drain: {
    shown: 'drain ID|URL --wait',
    summary: 'no new clients; returns when nothing is in flight',
    isOfInstance: true,
    load: async () => {
      const { DRAIN, runDrain } = await import('./admin/admin-drain.ts');
      return { spec: DRAIN, run: runDrain };
    },
  },
  enable: {
    shown: 'enable ID|URL',
    summary: 'put one back',
    isOfInstance: true,
    load: async () => {
      const { ENABLE, runEnable } = await import('./admin/admin-backends.ts');
      return { spec: ENABLE, run: runEnable };
    },
  },
  disable: {
    shown: 'disable ID|URL',
    summary: 'take one out',
    isOfInstance: true,
    load: async () => {
      const { DISABLE, runDisable } = await import('./admin/admin-backends.ts');
      return { spec: DISABLE, run: runDisable };
    },
  },
  weight: {
    shown: 'weight ID|URL N',
    summary: 'its share beside the others',
    isOfInstance: true,
    load: async () => {
      const { WEIGHT, runWeight } = await import('./admin/admin-backends.ts');
      return { spec: WEIGHT, run: runWeight };
    },
  },
  strategy: {
    shown: 'strategy NAME',
    summary: 'change the strategy',
    isOfInstance: true,
    load: async () => {
      const { STRATEGY, runStrategy } = await import('./admin/admin-pool.ts');
      return { spec: STRATEGY, run: runStrategy };
    },
  },
  reload: {
    shown: 'reload',
    summary: 'read the config again',
    isOfInstance: true,
    load: async () => {
      const { RELOAD, runReload } = await import('./admin/admin-pool.ts');
      return { spec: RELOAD, run: runReload };
    },
  },
  upgrade: {
    shown: 'upgrade',
    summary: 'let the program now on the disk take over, without a gap',
    isOfInstance: true,
    load: async () => {
      const { UPGRADE, runUpgrade } = await import('./admin/admin-pool.ts');
      return { spec: UPGRADE, run: runUpgrade };
    },
  },
  reset: {
    shown: 'reset [VALUE]',
    summary: 'drop what was set otherwise than the config says',
    isOfInstance: true,
    load: async () => {
      const { RESET, runReset } = await import('./admin/admin-pool.ts');
      return { spec: RESET, run: runReset };
    },
  },
  healthcheck: {
    shown: 'healthcheck',
    summary: 'exit code 0 if it is ready',
    isOfInstance: true,
    load: async () => {
      const { HEALTHCHECK, runHealthcheck } = await import('./admin/admin-status.ts');
      return { spec: HEALTHCHECK, run: runHealthcheck };
    },
  },
};

/** Those of the program itself, or those of a running instance: a line each. */
export function listCommands(isOfInstance: boolean): string {
  return Object.values(COMMANDS)
    .filter((command) => (command.isOfInstance ?? false) === isOfInstance)
    .map(({ shown, summary }) => `  ${shown.padEnd(31)} ${summary}`)
    .join('\n');
}
