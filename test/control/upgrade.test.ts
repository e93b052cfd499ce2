/** What the old process does, whatever becomes of the new one: here a few lines of script. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { whyNotFollowed } from '../../src/control/service-manager.ts';
import { NO_OPERATOR_STATE } from '../../src/control/state/operator-state.ts';
import { HandedSockets } from '../../src/control/upgrade/handed-sockets.ts';
import { Upgrade, UpgradeFailed, UpgradeRefused } from '../../src/control/upgrade/upgrade.ts';
import { createLogger } from '../../src/observe/logger.ts';
import type { ListenerSnapshot } from '../../src/snapshot/snapshot.ts';
import { afterTest } from '../support/after-test.ts';

const NEVER_READY = 'process.on("message", () => {}); setInterval(() => {}, 1000)';
const READY =
  'process.once("message", () => process.send({ kind: "ready" }, () => process.exit()))';

/** Under npx, a process ends when its parent has. */
const READY_WITHOUT_NPX = `process.once("message", () => process.send(process.env.npm_command === undefined
  ? { kind: "ready" } : { kind: "failed", reason: "it would end with npx" }, () => process.exit()))`;

interface Told {
  readonly event: string;
  readonly line: string;
}

function upgradeTo(
  script: string,
  readyMs = 30_000,
): {
  readonly upgrade: Upgrade;
  readonly did: string[];
  readonly told: Told[];
} {
  const did: string[] = [];
  const told: Told[] = [];
  const { logger: log } = createLogger({
    level: 'info',
    writer: null,
    tell: (event, line) => told.push({ event, line: String(line) }),
  });
  const upgrade = new Upgrade({
    log,
    operator: {
      inTurn: (work) => work(),
      handOver: () => void did.push('no more changes'),
    },
    kept: {
      close: async () => void did.push('state file released'),
      takeBack: async () => void did.push('state file taken back'),
      handOver: () => void did.push('state file given up'),
    },
    copies: {
      makeWay: async () => void did.push('copies written'),
      goOn: () => void did.push('copies go on'),
    },
    keptState: () => NO_OPERATOR_STATE,
    version: () => ({ generation: 1, sharedRevision: undefined }),
    parting: () => ({ listeners: [], admin: null, clients: () => '' }),
    whyNot: () => undefined,
    onHandedOver: () => void did.push('drained'),
    readyMs,
    command: [process.execPath, '-e', script],
  });
  return { upgrade, did, told };
}

describe('an upgrade', () => {
  it.each([
    ['process.exit(7)', 'it ended with exit code 7 before it was ready'],
    ['process.kill(process.pid, "SIGKILL")', 'it ended by SIGKILL before it was ready'],
    [
      'process.once("message", () => process.send({ kind: "failed", reason: "bad config" }))',
      'bad config',
    ],
  ])('to a process that does %s leaves the old one as it was', async (script, why) => {
    const { upgrade, did } = upgradeTo(script);
    await expect(upgrade.run({})).rejects.toThrow(UpgradeFailed);
    await expect(upgrade.run({})).rejects.toThrow(why);
    const once = ['state file released', 'copies written', 'state file taken back', 'copies go on'];
    expect(did).toEqual([...once, ...once]);
    expect(upgrade.isHandedOver).toBe(false);
  });

  it('to one that can’t even be begun leaves the old one as it was', async () => {
    const { upgrade, did } = upgradeTo('no argument may have a \0 in it');
    await expect(upgrade.run({})).rejects.toThrow(UpgradeFailed);
    expect(did).toEqual([
      'state file released',
      'copies written',
      'state file taken back',
      'copies go on',
    ]);
  });

  it('to one that is late ends it, and to one of two at a time is refused', async () => {
    const { upgrade, did } = upgradeTo(NEVER_READY, 400);
    const first = upgrade.run({});
    await expect(upgrade.run({ by: 'signal' })).rejects.toThrow(UpgradeRefused);
    await expect(first).rejects.toThrow('it was not ready within 0.4 s');
    expect(did).toEqual([
      'state file released',
      'copies written',
      'state file taken back',
      'copies go on',
    ]);
  });

  it('is called off by the end of the process, and leaves none of the new one', async () => {
    const { upgrade, did, told } = upgradeTo(NEVER_READY);
    const running = upgrade.run({}).catch((error: unknown) => String(error));
    await upgrade.cancel();
    expect(await running).toContain('is called off: this process ends');
    expect(told.map(({ line }) => line).join('\n')).not.toContain('goes on');
    expect(did).toEqual([
      'state file released',
      'copies written',
      'state file taken back',
      'copies go on',
    ]);
    const pid = /process (\d+) starts/.exec(told.map(({ line }) => line).join('\n'))?.[1];
    expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
  });

  it('under npx leaves a process that does not end with the old one', async () => {
    vi.stubEnv('npm_command', 'exec');
    afterTest(() => void vi.unstubAllEnvs());
    expect(await upgradeTo(READY_WITHOUT_NPX).upgrade.run({})).toBeGreaterThan(1);
  });

  it('to one that is ready gives all away, once', async () => {
    const { upgrade, did } = upgradeTo(READY);
    expect(await upgrade.run({})).toBeGreaterThan(1);
    await expect(upgrade.run({})).rejects.toThrow('has taken over already');
    await new Promise(setImmediate);
    expect(did).toEqual([
      'state file released',
      'copies written',
      'state file given up',
      'no more changes',
      'drained',
    ]);
  });

  it('is not begun where the old process could not be followed', () => {
    expect(whyNotFollowed({}, 1)).toContain('process 1');
    expect(whyNotFollowed({ SYSTEMD_EXEC_PID: '7' }, 7)).toContain('NotifyAccess=all');
    expect(whyNotFollowed({ SYSTEMD_EXEC_PID: '7', NOTIFY_SOCKET: '/run/n' }, 7)).toBeUndefined();
    expect(whyNotFollowed({ SYSTEMD_EXEC_PID: '6' }, 7)).toBeUndefined();
  });
});

describe('sockets that are handed on', () => {
  const port: ListenerSnapshot = {
    id: 1,
    name: '*:80',
    address: { kind: 'tcp', host: undefined, port: 80 },
    descriptor: -1,
    tls: undefined,
    proxyProtocol: null,
    httpsPort: 0,
    h2c: false,
  };
  const unix = { kind: 'unix', path: '/web.sock', mode: 0o600 } as const;
  const handed = { name: '*:80', isAlone: false, isInherited: false };

  const of = (descriptors: number[], threads: number): number[][] | undefined =>
    new HandedSockets([{ ...handed, descriptors }]).take(port, threads);

  it('all have a thread, whatever the number of threads was', () => {
    expect(of([4, 5], 2)).toEqual([[4], [5]]);
    expect(of([4, 5, 6], 2)).toEqual([[4, 6], [5]]);
    expect(of([4, 5], 1)).toEqual([[4, 5]]);
    // The last one opens its own beside them.
    expect(of([4, 5], 3)).toEqual([[4], [5], []]);
  });

  it('are opened by the thread that a unix socket is for', () => {
    const sockets = new HandedSockets([{ ...handed, name: 'unix', descriptors: [4] }]);
    expect(sockets.take({ ...port, name: 'unix', address: unix }, 2)).toEqual([[], [4]]);
    expect(sockets.take({ ...port, name: 'unix', address: unix }, 2)).toBeUndefined();
    expect(sockets.take(port, 2)).toBeUndefined();
  });

  it('are closed where nobody wants them, and one is enough for each thread', () => {
    const [first, second] = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
    const sockets = new HandedSockets([{ ...handed, isAlone: true, descriptors: [first, second] }]);
    expect(sockets.take(port, 1)).toEqual([[first]]);
    sockets.closeLeft();
    expect(() => fstatSync(second)).toThrow('EBADF');
    closeSync(first);
  });
});
