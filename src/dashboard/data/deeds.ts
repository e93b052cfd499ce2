/** What an operator can do to backends and pools, each with what it means, the call, and the calls that take it back. */
import { type Answer, type Call, CallFailed } from './calls.ts';
import type { BackendTotals, PoolTotals } from './shapes.ts';

/** Makes a call on behalf of an undo: one after the other, each on what the one before has left. */
export type Run = (call: Call) => Promise<Answer>;

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly kind: 'text' | 'number' | 'check' | 'choice';
  readonly value: string;
  readonly options?: readonly string[];
  readonly help?: string;
  readonly isNeeded?: boolean;
}

export type Values = Readonly<Record<string, string>>;

/** One way to go on, with what the fields hold. */
export interface Plan {
  readonly call: Call;
  /** In the past tense, once it is done. */
  readonly done: string;
  /** Undefined: it can't be taken back. */
  readonly undo?: (answer: unknown, run: Run) => Promise<unknown>;
}

export interface Deed {
  readonly title: string;
  readonly effect: string;
  readonly button: string;
  readonly isGrave?: boolean;
  readonly fields?: readonly Field[];
  readonly plan: (values: Values) => Plan;
}

function at(pool: string, path: string): string {
  return `pools/${encodeURIComponent(pool)}/${path}`;
}

function inFlight({ conns }: BackendTotals): string {
  if (conns === 0) return 'Nothing is in flight there now.';
  return `${conns} in flight there now.`;
}

function setState(
  pool: string,
  backend: BackendTotals,
  state: BackendTotals['state'],
  query = '',
): Call {
  const path = at(pool, `backends/${backend.id}${query}`);
  return { method: 'PATCH', path, body: { state } };
}

export function drain(pool: string, backend: BackendTotals): Deed {
  return {
    title: `Drain ${backend.url}`,
    effect: `No new clients go there. Requests in flight finish, and clients with a session stay until the deadline. ${inFlight(backend)}`,
    button: 'Drain',
    fields: [
      {
        name: 'deadline',
        label: 'Deadline',
        kind: 'text',
        value: '',
        help: 'such as 30s or 5m; empty: timeouts.drain of the config',
      },
    ],
    plan: ({ deadline = '' }) => ({
      call: setState(pool, backend, 'draining', `?drain=${encodeURIComponent(deadline.trim())}`),
      done: `Draining ${backend.url}`,
      undo: (_answer, run) => run(setState(pool, backend, backend.state)),
    }),
  };
}

export function enable(pool: string, backend: BackendTotals): Deed {
  return {
    title: `Enable ${backend.url}`,
    effect: 'New clients go there as soon as it is healthy.',
    button: 'Enable',
    plan: () => ({
      call: setState(pool, backend, 'enabled'),
      done: `Enabled ${backend.url}`,
      undo: (_answer, run) => run(setState(pool, backend, backend.state)),
    }),
  };
}

export function disable(pool: string, backend: BackendTotals): Deed {
  return {
    title: `Disable ${backend.url}`,
    effect: `Nothing new goes there, clients with a session neither: they go to other backends. ${inFlight(backend)}`,
    button: 'Disable',
    isGrave: true,
    plan: () => ({
      call: setState(pool, backend, 'disabled'),
      done: `Disabled ${backend.url}`,
      undo: (_answer, run) => run(setState(pool, backend, backend.state)),
    }),
  };
}

export function changeWeight(pool: string, backend: BackendTotals): Deed {
  const path = at(pool, `backends/${backend.id}`);
  return {
    title: `Weight of ${backend.url}`,
    effect: 'Its share beside the weights of the others in this pool. 0: no new clients.',
    button: 'Change weight',
    fields: [
      {
        name: 'weight',
        label: 'Weight',
        kind: 'number',
        value: String(backend.weight),
        isNeeded: true,
      },
    ],
    plan: ({ weight = '' }) => ({
      call: { method: 'PATCH', path, body: { weight: Number(weight) } },
      done: `Weight of ${backend.url} is ${weight}, was ${backend.weight}`,
      undo: (_answer, run) => run({ method: 'PATCH', path, body: { weight: backend.weight } }),
    }),
  };
}

export function remove(pool: string, backend: BackendTotals): Deed {
  const { url, weight, backup, state } = backend;
  return {
    title: `Remove ${url}`,
    effect: `It leaves the pool ${pool} at once; requests in flight there finish. ${inFlight(backend)}${
      backend.source === 'config' ? ' The config lists it, and it stays removed all the same.' : ''
    }`,
    button: 'Remove',
    isGrave: true,
    plan: () => ({
      call: { method: 'DELETE', path: at(pool, `backends/${backend.id}`) },
      done: `Removed ${url}`,
      undo: async (_answer, run) => {
        const call = { method: 'POST', path: at(pool, 'backends') } as const;
        const body = { url, weight, backup, state };
        try {
          await run({ ...call, body: { ...body, id: backend.id } });
        } catch (error) {
          // Nobody remembers it any more: after an upgrade, or among very many.
          if (!(error instanceof CallFailed && error.code === 'ERR_ID_NOT_FREE')) throw error;
          await run({ ...call, body });
        }
      },
    }),
  };
}

export function add(pools: readonly string[], pool: string): Deed {
  return {
    title: 'Add a backend',
    effect: 'It is checked at once, and gets requests as soon as it is healthy.',
    button: 'Add',
    fields: [
      { name: 'pool', label: 'Pool', kind: 'choice', value: pool, options: pools },
      {
        name: 'url',
        label: 'URL',
        kind: 'text',
        value: 'http://',
        help: 'http://host:port, https://host:port, or unix:/run/app.sock',
        isNeeded: true,
      },
      { name: 'weight', label: 'Weight', kind: 'number', value: '1', isNeeded: true },
      { name: 'backup', label: 'A backup: used while no other is there', kind: 'check', value: '' },
    ],
    plan: ({ pool: into = pool, url = '', weight = '1', backup }) => ({
      call: {
        method: 'POST',
        path: at(into, 'backends'),
        body: { url: url.trim(), weight: Number(weight), backup: backup === 'on' },
      },
      done: `Added ${url.trim()} to ${into}`,
      undo: (answer, run) =>
        run({
          method: 'DELETE',
          path: at(into, `backends/${(answer as BackendTotals).id}`),
        }),
    }),
  };
}

type Strategy = PoolTotals['strategy'];

/** All that there are, in the order in which they are offered. */
const STRATEGIES = Object.keys({
  'round-robin': true,
  'least-connections': true,
  'random-two': true,
  'peak-ewma': true,
  'ip-hash': true,
  'consistent-hash': true,
} satisfies Record<Strategy, true>);

export function changeStrategy(pool: string, before: Strategy): Deed {
  const path = at(pool, 'strategy');
  return {
    title: `Strategy of the pool ${pool}`,
    effect: `Now ${before}. Another one counts from the next request on.`,
    button: 'Change strategy',
    fields: [
      { name: 'strategy', label: 'Strategy', kind: 'choice', value: before, options: STRATEGIES },
    ],
    plan: ({ strategy = before }) => ({
      call: { method: 'PUT', path, body: { strategy } },
      done: `Strategy of ${pool} is ${strategy}, was ${before}`,
      undo: (_answer, run) => run({ method: 'PUT', path, body: { strategy: before } }),
    }),
  };
}

export function reload(): Deed {
  return {
    title: 'Reload the config',
    effect:
      'The config is read again, and what differs is taken up. What it has problems with changes nothing.',
    button: 'Reload',
    plan: () => ({ call: { method: 'POST', path: 'reload' }, done: 'Reloaded the config' }),
  };
}

export function dropOverride(pool: string, value: string, id: number | undefined): Deed {
  const query = new URLSearchParams({ pool, value, ...(id !== undefined && { backend: `${id}` }) });
  return {
    title: `Drop what was set here: ${value}`,
    effect: `The config’s value counts again in the pool ${pool}.`,
    button: 'Drop',
    plan: () => ({
      call: { method: 'DELETE', path: `overrides?${query}` },
      done: `The config’s ${value} counts again in ${pool}`,
    }),
  };
}
