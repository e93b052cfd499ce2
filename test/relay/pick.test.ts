/** Who gets an attempt, and what is said of how that came about. */
import { describe, expect, test } from 'vitest';
import type { Backend } from '../../src/data/backend/backend.ts';
import type { Sessions } from '../../src/data/balance/stickiness.ts';
import { createStrategy } from '../../src/data/balance/strategies.ts';
import type { PoolView } from '../../src/data/pool/pool-view.ts';
import type { Attempt, AttemptOwner } from '../../src/data/relay/attempt.ts';
import {
  hasAnother,
  idleFor,
  type Picker,
  pick,
  pickHedge,
  unfitForHedge,
} from '../../src/data/relay/pick.ts';
import type { Tries } from '../../src/data/relay/tries.ts';

/** A backend as a pick sees it. */
interface Stub {
  hasRoom: boolean;
  isGateOpen: boolean;
  hasIdle: boolean;
  inFlight: number;
  readonly backend: Backend;
  /** Of the last attempt here: it had to be a fresh connection. */
  wasFresh: boolean | undefined;
}

function stub(id: number, weight = 1): Stub {
  const the: Stub = {
    hasRoom: true,
    isGateOpen: true,
    hasIdle: false,
    inFlight: 0,
    wasFresh: undefined,
    backend: {
      id,
      weight,
      spec: { id },
      inFlightCell: new Int32Array(1),
      get inFlight() {
        return the.inFlight;
      },
      hasRoom: () => the.hasRoom && the.isGateOpen,
      hasIdle: () => the.hasIdle,
      acquire: (_user: unknown, _facts: unknown, needsFresh: boolean) => {
        the.wasFresh = needsFresh;
        return {};
      },
      acquirePinned: () => ({}),
      counters: {
        get isGateWideOpen() {
          return the.isGateOpen;
        },
        tryStartRequest: () => the.hasRoom,
        takePass: () => (the.isGateOpen ? 0 : -1),
        returnPass: () => {},
        requestFinished: () => {},
      },
    } as unknown as Backend,
  };
  return the;
}

/** The id of the backend and how it was chosen, or why there is no attempt. */
function chosenIn(attempt: Attempt | string): unknown {
  return typeof attempt === 'string' ? attempt : [attempt.backend.id, attempt.chosen];
}

function setUp(count: number, { spares = 0, sessions = null as Sessions<Backend> | null } = {}) {
  const stubs = Array.from({ length: count + spares }, (_, id) => stub(id));
  const [eligible, others] = [stubs.slice(0, count), stubs.slice(count)];
  let turns = 0;
  const strategy = createStrategy<Backend>('round-robin', {
    random: () => 0,
    nextTurn: () => turns++,
    comingTurn: () => turns,
    now: () => 0,
  });
  strategy.rebuild(eligible.map(({ backend }) => backend));
  const view = {
    strategy,
    sessions,
    eligible: eligible.map(({ backend }) => backend),
    spares: others.map(({ backend }) => backend),
    draining: [],
    spec: { maxRequests: 0, maxConnections: 0, proxyVersion: null },
  } as unknown as PoolView;
  const owner = {
    context: { hooks: null, deadlines: { at: (ms: number) => ms }, view: { backends: new Map() } },
  } as unknown as AttemptOwner;
  let pinned: { backend: Backend; connection: object } | null = null;
  const picker = {
    request: {
      keys: { hash: 'client', session: 'client' },
      facts: { upgrade: '' },
      pin: { take: () => pinned, drop: () => (pinned = null) },
      trace: null,
    },
    tries: null,
    current: null,
    drainingKeeper: null,
    keeper: null,
    bindsSession: false,
    hasTurn: false,
    isAnyFull: false,
  } as unknown as { -readonly [key in keyof Picker]: Picker[key] };
  return {
    stubs,
    view,
    picker,
    turns: () => turns,
    pin(one: Stub): void {
      pinned = { backend: one.backend, connection: {} };
    },
    tried(ids: readonly number[], change: Partial<Tries> = {}): void {
      const backends = ids.length === 0 ? null : ids.map((id) => (stubs[id] as Stub).backend);
      picker.tries = {
        backends,
        races: 0,
        isRace: false,
        isForIdle: false,
        ...change,
      } as Tries;
    },
    pick: () => chosenIn(pick(picker, owner, view, 0)),
    pickHedge(current: Stub): unknown {
      picker.current = { backend: current.backend } as Attempt;
      return chosenIn(pickHedge(picker, owner, view, 0, unfitForHedge(view, current.backend)));
    },
  };
}

/** Sessions of which there is one, at `home`. */
function sessionAt(home: () => Backend, isTied = false): Sessions<Backend> {
  return { isTied, lookup: home, choose: () => null } as unknown as Sessions<Backend>;
}

describe('how it was chosen', () => {
  test('by the strategy, which a request asks for a turn once', () => {
    const the = setUp(3);
    expect(the.pick()).toEqual([0, 'strategy']);
    expect(the.turns()).toBe(1);
    the.tried([0]);
    expect(the.pick()).toEqual([1, 'strategy']);
    the.tried([0, 1]);
    expect(the.pick()).toEqual([2, 'strategy']);
    expect(the.turns()).toBe(1);
  });

  test('the next one, when the first has no room', () => {
    const the = setUp(2);
    (the.stubs[0] as Stub).hasRoom = false;
    expect(the.pick()).toEqual([1, 'strategy']);
    expect([the.turns(), the.picker.isAnyFull]).toEqual([1, true]);
  });

  test('nobody, and whether they were full or only their breakers shut', () => {
    const the = setUp(2);
    for (const one of the.stubs) one.isGateOpen = false;
    expect(the.pick()).toBe('ERR_BACKENDS_FULL');
    expect(the.picker.isAnyFull).toBe(false);
    (the.stubs[1] as Stub).hasRoom = false;
    expect(the.pick()).toBe('ERR_BACKENDS_FULL');
    expect([the.picker.isAnyFull, the.turns()]).toEqual([true, 1]);
    expect(setUp(0).pick()).toBe('ERR_NO_BACKEND');
  });

  test('where the session is; elsewhere for this once when that is full, and for good when it has failed', () => {
    const the = setUp(3, { sessions: sessionAt(() => (the.stubs[2] as Stub).backend) });
    expect([the.pick(), the.picker.bindsSession]).toEqual([[2, 'session'], false]);
    expect(the.turns()).toBe(0);
    (the.stubs[2] as Stub).hasRoom = false;
    expect([the.pick(), the.picker.bindsSession]).toEqual([[0, 'strategy'], false]);
    the.tried([2]);
    expect([the.pick(), the.picker.bindsSession]).toEqual([[1, 'strategy'], true]);
  });

  test('a session that is tied to a full backend goes nowhere', () => {
    const the = setUp(3, { sessions: sessionAt(() => (the.stubs[2] as Stub).backend, true) });
    (the.stubs[2] as Stub).hasRoom = false;
    expect(the.pick()).toBe('ERR_BACKENDS_FULL');
  });

  test('a spare, once all of the eligible have failed, and never for a hedge', () => {
    const the = setUp(2, { spares: 1 });
    the.tried([0]);
    expect(the.pick()).toEqual([1, 'strategy']);
    the.tried([0, 1]);
    expect(the.pick()).toEqual([2, 'spare']);
    the.tried([0]);
    expect(the.pickHedge(the.stubs[1] as Stub)).toEqual([0, 'hedge']);
    the.tried([0, 1, 2]);
    expect(the.pick()).toBe('ERR_NO_BACKEND');
  });

  test('a race gets a fresh connection, of anybody', () => {
    const the = setUp(1);
    the.pick();
    expect(the.stubs[0]?.wasFresh).toBe(false);
    the.tried([], { races: 1, isRace: true });
    expect(the.pick()).toEqual([0, 'race']);
    expect([the.stubs[0]?.wasFresh, the.turns()]).toEqual([true, 1]);
  });

  test('a hedge: not where the first is, nor where there is no room or a trial; the session stays', () => {
    const the = setUp(4);
    the.picker.bindsSession = true;
    (the.stubs[1] as Stub).hasRoom = false;
    (the.stubs[2] as Stub).isGateOpen = false;
    expect(the.pickHedge(the.stubs[0] as Stub)).toEqual([3, 'hedge']);
    expect([the.turns(), the.picker.bindsSession]).toEqual([0, true]);
  });

  test('the connection that the client has for itself, before all others', () => {
    const the = setUp(2, { sessions: sessionAt(() => (the.stubs[0] as Stub).backend) });
    the.pin(the.stubs[1] as Stub);
    expect(the.pick()).toEqual([1, 'pinned']);
    (the.stubs[1] as Stub).hasRoom = false;
    expect(the.pick()).toEqual([0, 'session']);
  });

  test('short of descriptors: the least busy with an idle connection that has not failed', () => {
    const the = setUp(4);
    the.tried([], { isForIdle: true });
    expect([the.pick(), idleFor(the.picker, the.view, 0)]).toEqual(['ERR_NO_BACKEND', null]);
    for (const [index, one] of the.stubs.entries()) {
      one.hasIdle = index > 0;
      one.inFlight = 10 - index;
    }
    expect(the.pick()).toEqual([3, 'idle']);
    the.tried([3], { isForIdle: true });
    expect(the.pick()).toEqual([2, 'idle']);
    (the.stubs[2] as Stub).hasRoom = false;
    expect(the.pick()).toEqual([1, 'idle']);
    expect(the.turns()).toBe(0);
  });

  test('short of descriptors: a session is served where it is, or else elsewhere if it is not tied', () => {
    for (const isTied of [false, true]) {
      const the = setUp(2, { sessions: sessionAt(() => (the.stubs[1] as Stub).backend, isTied) });
      for (const one of the.stubs) one.hasIdle = true;
      (the.stubs[1] as Stub).inFlight = 5;
      the.tried([], { isForIdle: true });
      expect(the.pick()).toEqual([1, 'idle']);
      (the.stubs[1] as Stub).hasIdle = false;
      expect(the.pick()).toEqual(isTied ? 'ERR_NO_BACKEND' : [0, 'idle']);
      expect(the.picker.bindsSession).toBe(false);
    }
  });
});

describe('hasAnother', () => {
  test('counts where it was last as tried, and spares when all of the eligible are', () => {
    const the = setUp(2, { spares: 1 });
    const last = (the.stubs[0] as Stub).backend;
    const has = (withRoom: boolean): boolean => hasAnother(the.picker, the.view, last, withRoom);
    expect(has(true)).toBe(true);
    (the.stubs[1] as Stub).hasRoom = false;
    expect([has(false), has(true)]).toEqual([true, false]);
    the.tried([1]);
    expect(has(true)).toBe(true);
    (the.stubs[2] as Stub).hasRoom = false;
    expect([has(false), has(true)]).toEqual([true, false]);
    the.picker.drainingKeeper = stub(9).backend;
    expect(has(true)).toBe(true);
  });
});
