/** A request that did not use what a circuit breaker had let through gave it back when the breaker had opened meanwhile. */
import { describe, expect, test } from 'vitest';
import { GATE_OPEN_WIDE, NO_PASS } from '../../src/snapshot/counter-cells.ts';
import {
  BackendCounters,
  createBackendCounters,
  setBackendGate,
} from '../../src/snapshot/counters.ts';
import { createPoolCounters, PoolCounters, setPoolGate } from '../../src/snapshot/pool-counters.ts';

/** A gate as the two planes see it. */
interface Gate {
  set(passes: number): void;
  takePass(): number;
  returnPass(pass: number): void;
}

function ofBackend(): Gate {
  const buffer = createBackendCounters(1);
  const counters = new BackendCounters(buffer, 0, 1);
  return {
    set: (passes) => setBackendGate(buffer, passes),
    takePass: () => counters.takePass(),
    returnPass: (pass) => counters.returnPass(pass),
  };
}

function ofPool(): Gate {
  const buffer = createPoolCounters(1);
  const counters = new PoolCounters(buffer, 0, 1);
  return {
    set: (passes) => setPoolGate(buffer, passes),
    takePass: () => counters.takePass(),
    returnPass: (pass) => counters.returnPass(pass),
  };
}

/** How many it lets through, up to ten. */
function passesOf(gate: Gate): number {
  let passes = 0;
  while (passes < 10 && gate.takePass() !== NO_PASS) passes++;
  return passes;
}

describe.each<[string, () => Gate]>([
  ['of a backend', ofBackend],
  ['of the pool', ofPool],
])('the gate %s', (_whose, create) => {
  test('stays shut when what came through the wide one is given back', () => {
    const gate = create();
    const pass = gate.takePass();
    expect(pass).not.toBe(NO_PASS);
    gate.set(0);
    gate.returnPass(pass);
    expect(passesOf(gate)).toBe(0);
  });

  test('stays shut when what came through the half-open one is given back', () => {
    const gate = create();
    gate.set(0);
    gate.set(2);
    const pass = gate.takePass();
    gate.set(0);
    gate.returnPass(pass);
    expect(passesOf(gate)).toBe(0);
  });

  test('gets no more than it was set to by what was taken before', () => {
    const gate = create();
    const early = gate.takePass();
    gate.set(0);
    gate.set(3);
    gate.returnPass(early);
    expect(passesOf(gate)).toBe(3);
    gate.set(GATE_OPEN_WIDE);
    gate.set(1);
    gate.returnPass(early);
    expect(passesOf(gate)).toBe(1);
  });

  test('gets back what it gave, the last one too', () => {
    const gate = create();
    gate.set(1);
    const last = gate.takePass();
    expect(gate.takePass()).toBe(NO_PASS);
    gate.returnPass(last);
    expect(passesOf(gate)).toBe(1);
  });

  test('stays wide', () => {
    const gate = create();
    gate.set(1);
    const pass = gate.takePass();
    gate.set(GATE_OPEN_WIDE);
    gate.returnPass(pass);
    gate.returnPass(gate.takePass());
    expect(passesOf(gate)).toBe(10);
  });

  test('knows what was taken from it after two million settings', () => {
    const gate = create();
    for (let turn = 0; turn < 2 ** 21 + 7; turn++) gate.set(turn % 3);
    gate.set(1);
    const last = gate.takePass();
    gate.returnPass(last);
    expect(passesOf(gate)).toBe(1);
    gate.set(0);
    gate.returnPass(last);
    expect(passesOf(gate)).toBe(0);
  });
});
