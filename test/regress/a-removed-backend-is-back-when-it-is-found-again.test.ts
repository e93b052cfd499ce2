/**
 * An operator removed a backend that discovery had found. When the source did not tell of it for one answer, and then did again, it was back; in
 * a cluster until anything of its pool was changed, which removed it once more; without one also after each restart.
 */
import { expect, test } from 'vitest';
import { backendAt } from '../../src/control/discovery/found-backends.ts';
import { Registry } from '../../src/control/registry.ts';
import { type OperatorState, settleLeaving } from '../../src/control/state/operator-state.ts';
import { decodeState, encodeState } from '../../src/control/state/state-format.ts';
import { storeWith } from '../control/cluster/made.ts';
import { instanceOn, type MadeInstance } from '../control/cluster/made-instance.ts';
import { address, settings } from '../control/fixtures.ts';

function found(...hosts: string[]) {
  return hosts.map((host) => ({
    ...backendAt({ tls: false, host, port: 80, basePath: '' }),
    isGoing: false,
  }));
}

const BOTH = found('10.0.0.1', '10.0.0.2');
const ONE = found('10.0.0.1');
const KEPT_URL = 'http://10.0.0.1';
const URL = 'http://10.0.0.2';

function searching(operatorState?: OperatorState): Registry {
  const discovery = { source: { kind: 'file', path: '/found', format: 'yaml' } } as never;
  return new Registry({
    settings: settings({ discovery }),
    threadCount: 1,
    ...(operatorState && { operatorState }),
  });
}

function urls(registry: Registry): string[] {
  return registry.backends().map((one) => one.address.url);
}

function idOf({ registry }: MadeInstance, url: string): number {
  return registry.pool('web')?.findByUrl(url)?.id ?? -1;
}

/** As a restart finds it. */
function restarted({ keptState }: Registry): Registry {
  const read = decodeState(encodeState(keptState));
  if (read.kind === 'damaged') throw new Error(read.reason);
  expect(read.faults).toEqual([]);
  return searching(settleLeaving(read.state));
}

test.each([
  'removed',
  'drained before it is removed, and dropped by the source meanwhile',
  'drained before it is removed, and the process is ended meanwhile',
])('one that is %s stays removed when it is found again, and after restarts', (how) => {
  let registry = searching();
  registry.setFound('default', BOTH);
  const pool = registry.defaultPool;
  const id = pool.findByUrl(URL)?.id ?? -1;
  if (how === 'removed') pool.planRemove(id).commit();
  else pool.planLeave(id).commit();
  if (how.endsWith('ended meanwhile')) registry = restarted(registry);
  for (const one of [registry, restarted(registry), restarted(restarted(registry))]) {
    one.setFound('default', ONE);
    one.setFound('default', BOTH);
    expect(urls(one)).toEqual([KEPT_URL]);
  }
});

test('while it is not found, it is told among the changes that rest, and can be forgotten', () => {
  const registry = searching();
  registry.setFound('default', BOTH);
  const id = registry.defaultPool.findByUrl(URL)?.id ?? -1;
  registry.defaultPool.planRemove(id).commit();
  expect(registry.resting()).toEqual([]);
  registry.setFound('default', ONE);
  const rests = { pool: 'default', value: 'backend', backend: URL, api: 'removed', config: null };
  expect(registry.resting()).toEqual([rests]);
  expect(registry.planReset({ pool: 'default' }).commit()).toEqual([rests]);
  registry.setFound('default', BOTH);
  expect(urls(registry)).toEqual([KEPT_URL, URL]);
});

test('that of one that the config lists is over when it lists it no more, found or not', () => {
  const registry = searching();
  const listed = settings({ backends: found('10.0.0.2') });
  registry.applyConfig(listed);
  registry.defaultPool.planRemove(registry.defaultPool.findByUrl(URL)?.id ?? -1).commit();
  expect(urls(registry)).toEqual([]);
  registry.applyConfig(settings());
  registry.applyConfig(listed);
  expect(urls(registry)).toEqual([URL]);
});

test('in a cluster it is removed at all instances, whatever their sources say and whatever else is changed', async () => {
  const store = await storeWith({
    pools: { web: { backends: ['http://a'], discover: { dns: 'http://app' } } },
    routes: [{ path: '/', pool: 'web' }],
  });
  const one = await instanceOn(store, { name: 'one' });
  const two = await instanceOn(store, { name: 'two' });
  const both = [one, two];
  for (const { registry } of both) registry.setFound('web', BOTH);
  await one.operator.remove(idOf(one, URL));
  await expect.poll(() => urls(two.registry)).toEqual(['http://a', KEPT_URL]);
  for (const { registry } of both) {
    registry.setFound('web', ONE);
    registry.setFound('web', BOTH);
    expect(urls(registry)).toEqual(['http://a', KEPT_URL]);
  }
  // One whose source has not told of it is no different.
  one.registry.setFound('web', ONE);
  await two.operator.update(idOf(two, 'http://a'), { weight: 3 });
  await expect.poll(() => one.registry.pool('web')?.findByUrl('http://a')?.weight).toBe(3);
  one.registry.setFound('web', BOTH);
  for (const { registry } of both) expect(urls(registry)).toEqual(['http://a', KEPT_URL]);
  // So is one that somebody has added, and a source tells of besides.
  await one.operator.add('web', address('http://10.0.0.9'), {
    weight: 1,
    isBackup: false,
    state: 'enabled',
    id: undefined,
  });
  await expect.poll(() => idOf(two, 'http://10.0.0.9')).not.toBe(-1);
  for (const { registry } of both) registry.setFound('web', found('10.0.0.1', '10.0.0.9'));
  await two.operator.remove(idOf(two, 'http://10.0.0.9'));
  await expect.poll(() => urls(one.registry)).toEqual(['http://a', KEPT_URL]);
  // Forgotten at one, it is forgotten at all.
  for (const { registry } of both) registry.setFound('web', ONE);
  const dropped = await one.operator.reset({ pool: 'web' });
  expect(dropped.map((its) => its.backend).toSorted()).toEqual([
    URL,
    'http://10.0.0.9',
    'http://a',
  ]);
  await expect.poll(() => two.registry.resting()).toEqual([]);
  for (const { registry } of both) {
    registry.setFound('web', BOTH);
    expect(urls(registry)).toContain(URL);
  }
});
