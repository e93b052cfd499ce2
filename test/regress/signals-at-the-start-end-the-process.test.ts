/**
 * SIGHUP and SIGUSR2 end a process that does not listen for them, and SIGUSR1 opens Node's debugger: a log rotation or a
 * reload in the moment of the start took the proxy down, and a rotation at any time could open port 9229.
 */
import { spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  CARE_SIGNALS,
  HeldSignals,
  type HoldableSource,
  STOP_SIGNALS,
} from '../../src/cli/terminal/held-signals.ts';
import { afterTest } from '../support/after-test.ts';
import { COMMAND } from '../support/fairlead.ts';
import { freePort } from '../support/free-port.ts';
import { waitFor, within } from '../support/wait-for.ts';

const SIGUSR1_NUMBER = 10;
const LONG_MS = 60_000;

class FakeSource extends EventEmitter implements HoldableSource {
  readonly pid = 7;
  readonly killed: string[] = [];

  kill(_pid: number, signal: string): void {
    this.killed.push(signal);
  }
}

test('signals that come before the command listens are handed on once it does', () => {
  const source = new FakeSource();
  const held = new HeldSignals(source);
  for (const signal of ['SIGHUP', 'SIGHUP', 'SIGUSR2']) source.emit(signal, signal);
  const came: unknown[] = [];
  source.on('SIGHUP', (signal) => came.push(signal));
  source.on('SIGUSR2', (signal) => came.push(signal));
  held.handOn(CARE_SIGNALS);
  expect(came).toEqual(['SIGHUP', 'SIGUSR2']);
  held.handOn(CARE_SIGNALS);
  expect(came).toHaveLength(2);
});

test('given back, they do what they do by default, but for SIGUSR1', () => {
  const source = new FakeSource();
  const held = new HeldSignals(source);
  for (const signal of ['SIGTERM', 'SIGUSR1']) source.emit(signal, signal);
  held.giveBack([...STOP_SIGNALS, ...CARE_SIGNALS]);
  expect(source.killed).toEqual(['SIGTERM']);
  expect(source.eventNames()).toEqual(['SIGUSR1']);
});

interface Start {
  readonly pid: number;
  readonly exited: Promise<number | string | null>;
  output(): string;
}

/** Comes back in the first moment in which the program, and no longer Node, decides about signals. */
async function start(): Promise<Start> {
  const ports = ['--port', String(await freePort()), '--admin-port', String(await freePort())];
  const child = spawn(process.execPath, [COMMAND, ...ports, '--no-access-log'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  afterTest(() => void child.kill('SIGKILL'));
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
  }
  const exited = new Promise<number | string | null>((resolve) => {
    child.on('close', (code, signal) => resolve(signal ?? code));
  });
  // The last signal that held-signals.ts listens for.
  await waitFor(() => catches(child.pid as number, 12), LONG_MS, 'the first line of the program');
  return { pid: child.pid as number, exited, output: () => text };
}

function catches(pid: number, signal: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (BigInt(`0x${mask ?? '0'}`) & (1n << BigInt(signal - 1))) !== 0n;
}

describe.runIf(process.platform === 'linux')('a process that starts', () => {
  test.each([0, 15, 60, 150, 300])('%i ms old takes a reload and rotations', async (ageMs) => {
    const fairlead = await start();
    await sleep(ageMs);
    for (const signal of CARE_SIGNALS) process.kill(fairlead.pid, signal);
    const done = (): boolean =>
      ['"listening"', '"config.reloaded"', '"access_log.no_file"'].every((event) =>
        fairlead.output().includes(event),
      );
    await waitFor(done, LONG_MS, 'what the signals ask for');
    // Every further one as well.
    process.kill(fairlead.pid, 'SIGUSR1');
    expect(catches(fairlead.pid, SIGUSR1_NUMBER)).toBe(true);
    process.kill(fairlead.pid, 'SIGTERM');
    expect(await within(fairlead.exited, LONG_MS, 'the end')).toBe(0);
    expect(fairlead.output()).not.toContain('Debugger');
  });

  test.each([0, 15, 60, 150])('%i ms old ends cleanly', async (ageMs) => {
    for (const signal of STOP_SIGNALS) {
      const fairlead = await start();
      await sleep(ageMs);
      process.kill(fairlead.pid, signal);
      expect(await within(fairlead.exited, LONG_MS, 'the end')).toBe(0);
      expect(fairlead.output()).toContain('"stopped"');
    }
  });
});
