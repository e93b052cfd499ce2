/** The commands that are clients of the admin API, against an instance with several pools, and with none that is called default. */
import { beforeAll, describe, expect, test } from 'vitest';
import { runHere } from '../support/command-here.ts';
import { type Fairlead, startFairlead } from '../support/fairlead.ts';

const [A, B, C, D] = [1, 2, 3, 4].map((port) => `http://127.0.0.1:${port}`) as [
  string,
  string,
  string,
  string,
];

const ROUTES = [
  { path: '/', pool: 'web' },
  { path: '/api/', pool: 'api' },
];
const POOLS = { web: { backends: [A, B] }, api: { backends: [B, C], strategy: 'ip-hash' } };

function commandOf({ adminUrl }: Fairlead) {
  return (...args: string[]) => runHere([...args, '--admin', adminUrl]);
}

const fine = (stdout: string) => ({ code: 0, stdout: `${stdout}\n`, stderr: '' });
const refused = (stderr: string, code = 1) => ({ code, stdout: '', stderr: `error: ${stderr}\n` });

async function get(fairlead: Fairlead, path: string): Promise<unknown> {
  return (await fetch(fairlead.adminUrl + path)).json();
}

describe('where no route leads to the pool default', () => {
  let fairlead: Fairlead;
  let run: ReturnType<typeof commandOf>;

  beforeAll(async () => {
    fairlead = await startFairlead({ config: { pools: POOLS, routes: ROUTES } });
    run = commandOf(fairlead);
  });

  test('status shows each pool under its name', async () => {
    const { stdout } = await run('status');
    expect(stdout.replaceAll(/up \S+/g, 'up TIME').split('\n')).toEqual([
      'pool web: round-robin, 0 of 2 backends alive, up TIME',
      '',
      expect.stringMatching(/^ID {2}BACKEND/),
      expect.stringMatching(new RegExp(`^0 {3}${A} `)),
      expect.stringMatching(new RegExp(`^1 {3}${B} `)),
      '',
      'pool api: ip-hash, 0 of 2 backends alive, up TIME',
      '',
      expect.stringMatching(/^ID {2}BACKEND/),
      expect.stringMatching(new RegExp(`^2 {3}${B} `)),
      expect.stringMatching(new RegExp(`^3 {3}${C} `)),
      '',
    ]);
    const { pools } = JSON.parse((await run('status', '--json')).stdout) as { pools: unknown[] };
    expect(pools).toMatchObject([
      { name: 'web', routed: true, total_backends: 2, backends: [{ id: 0 }, { id: 1 }] },
      { name: 'api', routed: true, strategy: 'ip-hash', backends: [{ url: B }, { url: C }] },
    ]);
    const one = await run('status', '--pool', 'api');
    expect(one.stdout).toMatch(/^pool api: ip-hash, 0 of 2 backends alive, up \S+\n\nID/);
    expect(one.stdout).not.toContain(A);
    expect((await run('status', '--pool', 'default')).stdout).toMatch(
      /^pool default: .*, 0 of 0 backends alive, used by no route, up \S+\nfairlead add URL --pool default adds a backend\n$/,
    );
    expect(await run('status', '--pool', 'wep')).toEqual(
      refused('There is no pool "wep". (fairlead status lists them)'),
    );
  });

  test('explain says which route and which pool a request gets, and why no other', async () => {
    const { code, stdout } = await run('explain', 'http://site/api/x?y', '-H', 'X-A: 1');
    expect(code).toBe(0);
    expect(stdout).toContain('route routes.1: pool api: 503 ERR_NO_BACKEND: ');
    expect(stdout).toContain('forwarded as /api/x?y\n');
    expect(stdout).toMatch(/^→ {2}routes\.1 {2}yes {6}it gets the request$/m);
    expect(stdout).toMatch(/^ {3}routes\.0 {2}yes {6}another comes before it$/m);
    expect(stdout).toContain('key: ip "127.0.0.1"\n');
    expect(stdout).toMatch(new RegExp(`^ +2 {2}${B} .*unhealthy`, 'm'));
    const { stdout: json } = await run('explain', ':80/', '--json', '--client', '192.0.2.7');
    expect(JSON.parse(json)).toMatchObject({
      client: '192.0.2.7',
      path: '/',
      route: 'routes.0',
      routes: [
        { name: 'routes.1', matches: false, why: 'the path is not under /api/' },
        { name: 'routes.0', matches: true },
      ],
      answer: { status: 503, code: 'ERR_NO_BACKEND' },
      pool: { name: 'web', backend: null, candidates: [{ url: A, role: 'none' }, { url: B }] },
    });
    expect(await run('explain', 'http://a b/', '--method', 'G T')).toEqual(
      refused('"method" must be one word without spaces, not "G T".', 2),
    );
    const { code: bad, stderr } = await run('explain', 'ftp://site/');
    expect([bad, stderr]).toEqual([2, expect.stringContaining('"ftp://site/" is no URL')]);
  });

  test('add and strategy ask which pool is meant', async () => {
    const which = 'no route leads to the pool default (say which: --pool web or --pool api)';
    expect(await run('add', D)).toEqual(refused(which, 2));
    expect(await run('strategy', 'random-two')).toEqual(refused(which, 2));
    expect(await run('strategy')).toEqual(refused(which, 2));
    expect(await get(fairlead, '/pools/default')).toMatchObject({
      routed: false,
      strategy: 'round-robin',
      total_backends: 0,
    });
    expect(await run('strategy', '--pool', 'api')).toEqual(
      fine('the strategy of pool api is ip-hash'),
    );
    expect((await run('add', D, '--pool', 'wep')).stderr).toContain('There is no pool "wep"');
  });

  test('a backend is found by its id in every pool', async () => {
    expect(await run('disable', '3')).toEqual(fine(`${C} (backend 3) is disabled`));
    expect((await run('enable', '3', '--pool', 'api')).stdout).toContain('(backend 3) is enabled');
    expect(await run('weight', '2', '3')).toEqual(fine(`${B} (backend 2) has weight 3`));
    expect(await run('drain', '3', '--wait')).toMatchObject({
      code: 0,
      stdout: `${C} (backend 3) is drained\n`,
    });
    expect(await run('enable', '77')).toEqual(
      refused('There is no backend "77". (fairlead status lists them)'),
    );
    expect(await run('enable', '3', '--pool', 'web')).toEqual(
      refused('There is no backend "3" in pool web. (fairlead status lists them)'),
    );
  });

  test('a backend is found by its URL in every pool, unless it is in several', async () => {
    expect(await run('disable', C)).toEqual(fine(`${C} (backend 3) is disabled`));
    expect(await run('disable', B)).toEqual(
      refused(
        `${B} is backend 1 of pool web and backend 2 of pool api (say which: --pool web or --pool api, or take the id)`,
        2,
      ),
    );
    expect(await run('disable', B, '--pool', 'api')).toEqual(fine(`${B} (backend 2) is disabled`));
    expect(await get(fairlead, '/pools/web/backends/1')).toMatchObject({ state: 'enabled' });
    expect(await run('disable', D)).toEqual(
      refused(`There is no backend ${D}. (fairlead status lists them)`),
    );
  });

  test('backends come to a pool and leave it, its strategy changes and is reset', async () => {
    expect((await run('add', D, '--pool', 'api', '--weight', '2')).stdout).toMatch(
      new RegExp(`^${D} is backend 4 of pool api, `),
    );
    expect(await run('remove', '4', '--wait')).toMatchObject({
      code: 0,
      stdout: `${D} (backend 4) is removed\n`,
    });
    expect(await run('strategy', 'random-two', '--pool', 'api')).toEqual(
      fine('the strategy of pool api is random-two'),
    );
    expect(await run('weight', '0', '5')).toMatchObject({ code: 0 });
    expect(await run('reset', '--pool', 'api', 'strategy')).toEqual(
      fine('strategy in pool api is ip-hash, as the config says'),
    );
    expect(await run('reset', 'weight', '--pool', 'web')).toEqual(
      fine(`weight of ${A} in pool web is 1, as the config says`),
    );
  });
});

test('with a route to it, the pool default is meant where none is named, and is said', async () => {
  const config = { backends: [D], pools: POOLS, routes: ROUTES.slice(1) };
  const run = commandOf(await startFairlead({ config }));
  expect(await run('strategy')).toEqual(fine('the strategy of pool default is round-robin'));
  expect((await run('add', A)).stdout).toMatch(/ is backend \d of pool default, /);
  expect(await run('reload')).toMatchObject({ code: 0 });
  const { stdout } = await run('status');
  expect(stdout.match(/^pool \w+: .*backends alive(, used by no route)?/gm)).toEqual([
    'pool default: round-robin, 0 of 2 backends alive',
    'pool web: round-robin, 0 of 2 backends alive, used by no route',
    'pool api: ip-hash, 0 of 2 backends alive',
  ]);
});

test('a route that can never match leads nowhere', async () => {
  const config = { backends: [D], pools: POOLS, routes: ROUTES };
  const fairlead = await startFairlead({ config });
  expect(await get(fairlead, '/pools')).toMatchObject([
    { name: 'default', routed: false },
    { name: 'web', routed: true },
    { name: 'api', routed: true },
  ]);
  expect((await commandOf(fairlead)('add', A)).stderr).toContain('no route leads to');
});

test.each(['add', 'remove', 'drain', 'enable', 'disable', 'weight', 'strategy', 'status', 'reset'])(
  'fairlead %s --help names --pool',
  async (command) => {
    expect((await runHere([command, '--help'])).stdout).toContain('--pool NAME');
  },
);
