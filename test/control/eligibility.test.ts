import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Backend, CLOSED, isAlive } from '../../src/control/backend.ts';
import { decideEligibility, type EligibilityRules } from '../../src/control/eligibility.ts';
import { explainEligibility } from '../../src/control/eligibility-reasons.ts';
import { address } from './fixtures.ts';

const NOW = 1_000_000;
const LONG_AGO = 0;
const IDLE = { inFlight: 0, maxRequests: 0, maxConnections: 0 };

/** Enabled, healthy and warm, unless the test says otherwise. */
function one(id: number, change: Partial<Backend> = {}): Backend {
  return {
    id,
    address: address(`http://localhost:${8000 + id}`),
    weight: 1,
    isBackup: false,
    adminState: 'enabled',
    source: 'config',
    health: 'healthy',
    hint: '',
    isUnreachable: false,
    isCheckFailing: false,
    ejection: undefined,
    breaker: CLOSED,
    lastCheck: NOW - 2500,
    lastChange: LONG_AGO,
    hasMovedSessions: false,
    lastReason: 'GET /health: 200',
    counters: new SharedArrayBuffer(0),
    ...change,
  };
}

const ejection = {
  since: NOW - 3000,
  until: NOW + 26_500,
  reason: '5 failures in a row',
  mayCheckEnd: false,
};
const open = { state: 'open', until: NOW + 12_000, reason: '55 % of 40 requests failed' } as const;
const halfOpen = { ...open, state: 'half-open', until: undefined } as const;

function decide(
  changes: readonly Partial<Backend>[],
  rules: Partial<EligibilityRules> = {},
  now = NOW,
) {
  const backends = changes.map((change, id) => one(id, change));
  const all = { slowStartMs: 0, panicThresholdPercent: 0, ...rules };
  const decision = decideEligibility(backends, all, now);
  const { picks, keeps, isPanic } = decision.eligibility;
  return {
    picks: picks.map(({ id, weight }) => `${id}×${weight}`).join(' '),
    keeps: keeps.join(' '),
    isPanic,
    nextStepAt: decision.nextStepAt,
    why: backends.map((backend) => explainEligibility(backend, decision, IDLE, now)),
  };
}

describe('the hint', () => {
  const down = { health: 'unhealthy', hint: 'set health_check_path' } as const;

  it.each<[string, Partial<Backend>[], string]>([
    [
      'is the first of those that should be picked',
      [{ health: 'unhealthy' }, down, { ...down, hint: 'x' }],
      'http://localhost:8001: set health_check_path',
    ],
    ['is not said while somebody is', [down, {}], ''],
    [
      'is not of one that nobody wants',
      [{ ...down, adminState: 'disabled' }, { ...down, weight: 0 }, { adminState: 'draining' }],
      '1 disabled, 1 draining, 1 of weight 0',
    ],
    [
      'is the reason where nothing is known to help',
      [
        { health: 'unknown', lastReason: undefined },
        { health: 'unhealthy', lastReason: 'GET /health: 500' },
      ],
      'http://localhost:8001: unhealthy: GET /health: 500',
    ],
    [
      'says so where no check has ended yet',
      [{ health: 'unknown', lastReason: undefined }],
      'http://localhost:8000: not checked yet',
    ],
    [
      'is why a circuit breaker is open',
      [{ breaker: open }],
      'http://localhost:8000: circuit breaker open: 55 % of 40 requests failed',
    ],
    ['is not said of a pool without backends', [], ''],
  ])('%s', (_what, changes, hint) => {
    const backends = changes.map((change, id) => one(id, change));
    const rules = { slowStartMs: 0, panicThresholdPercent: 50 };
    expect(decideEligibility(backends, rules, NOW).eligibility.hint).toBe(hint);
  });
});

describe('eligibility', () => {
  it.each<[number, number, number, string]>([
    [3, 3, 0, '; full: 3 of 3 requests in flight'],
    [4, 3, 5, '; full: 4 of 3 requests in flight'],
    [5, 0, 5, '; full: 5 of 5 connections in use'],
    [2, 3, 5, ''],
    [900, 0, 0, ''],
  ])(
    'with %d in flight, at most %d, and %d connections, says%s',
    (inFlight, maxRequests, maxConnections, end) => {
      const backend = one(0);
      const rules = { slowStartMs: 0, panicThresholdPercent: 0 };
      const load = { inFlight, maxRequests, maxConnections };
      const why = explainEligibility(backend, decideEligibility([backend], rules, NOW), load, NOW);
      expect(why).toBe(`healthy, last check 3 s ago${end}`);
      const gone = one(0, { adminState: 'disabled' });
      const decision = decideEligibility([gone], rules, NOW);
      expect(explainEligibility(gone, decision, load, NOW)).toBe('disabled by an operator');
    },
  );

  it.each<[string, Partial<Backend>[], string, string]>([
    ['all that live, by weight', [{ weight: 5 }, { weight: 3 }], '0×5 1×3', '0 1'],
    ['none that is unhealthy or unknown', [{ health: 'unhealthy' }, { health: 'unknown' }], '', ''],
    ['none that is disabled', [{ adminState: 'disabled' }, {}], '1×1', '1'],
    ['sessions only when draining', [{ adminState: 'draining' }, {}], '1×1', '0 1'],
    [
      'no sessions when draining and ill',
      [{ adminState: 'draining', health: 'unhealthy' }, {}],
      '1×1',
      '1',
    ],
    ['sessions only with weight 0', [{ weight: 0 }, {}], '1×1', '0 1'],
    ['nobody when all have weight 0', [{ weight: 0 }], '', '0'],
    ['none that is ejected', [{ ejection }, {}], '1×1', '1'],
    ['none whose breaker is open', [{ breaker: open }, {}], '1×1', '1'],
    ['those whose breaker is half-open', [{ breaker: halfOpen }, {}], '0×1 1×1', '0 1'],
    ['backups keep sessions while primaries live', [{}, { isBackup: true }], '0×1', '0 1'],
    ['backups without a primary', [{ health: 'unhealthy' }, { isBackup: true }], '1×1', '1'],
    [
      'backups where the only primary has weight 0',
      [{ weight: 0 }, { isBackup: true }],
      '1×1',
      '0 1',
    ],
    ['backups before an ejected primary', [{ ejection }, { isBackup: true }], '1×1', '1'],
    ['the ejected when nobody else is left', [{ ejection }, { health: 'unhealthy' }], '0×1', '0'],
    ['no ejected one that is ill too', [{ ejection, health: 'unhealthy' }], '', ''],
  ])('picks %s', (_what, changes, picks, keeps) => {
    expect(decide(changes)).toMatchObject({ picks, keeps, isPanic: false });
  });

  it('lets a backend that came back grow from a tenth to its whole weight', () => {
    const changes = [{ weight: 2 }, { weight: 3, lastChange: NOW }];
    const rules = { slowStartMs: 9000 };
    const seen: string[] = [];
    for (let now = NOW; now <= NOW + 9000; now += 500) {
      const { picks, nextStepAt } = decide(changes, rules, now);
      if (seen.at(-1) !== picks) seen.push(picks);
      const due = NOW + (Math.floor((now - NOW) / 1000) + 1) * 1000;
      expect(nextStepAt).toBe(now < NOW + 9000 ? due : undefined);
    }
    expect(seen).toEqual([
      ...[3, 6, 9, 12, 15, 18, 21, 24, 27].map((weight) => `0×20 1×${weight}`),
      '0×2 1×3',
    ]);
  });

  it('holds nobody back while all are cold, or with slow start off', () => {
    const cold = { lastChange: NOW - 100 };
    expect(decide([cold, cold], { slowStartMs: 9000 })).toMatchObject({
      picks: '0×1 1×1',
      nextStepAt: NOW + 900,
    });
    expect(decide([{ lastChange: NOW }, {}])).toMatchObject({
      picks: '0×1 1×1',
      nextStepAt: undefined,
    });
  });

  describe('in a panic', () => {
    const panic = { panicThresholdPercent: 50 };
    const sick = { health: 'unhealthy', lastReason: 'GET /health: 500' } as const;

    it.each<[string, Partial<Backend>[], string, boolean]>([
      [
        'uses the sick and the ejected as well',
        [{}, sick, { ejection }, sick],
        '0×1 1×1 2×1 3×1',
        true,
      ],
      ['not at the threshold', [{}, {}, sick, sick], '0×1 1×1', false],
      ['not with three while one is eligible', [{}, sick, { ejection }], '0×1', false],
      ['not with two', [sick, {}], '1×1', false],
      [
        'none that can not be connected to',
        [{}, sick, { ...sick, isUnreachable: true }, sick],
        '0×1 1×1 3×1',
        true,
      ],
      [
        'is none where nobody is won by it',
        [{}, { ...sick, isUnreachable: true }, { breaker: open }, { breaker: open }],
        '0×1',
        false,
      ],
      [
        'none that operators want out',
        [
          {},
          sick,
          sick,
          { ...sick, adminState: 'disabled' },
          { ...sick, adminState: 'draining' },
          { ...sick, weight: 0 },
          sick,
        ],
        '0×1 1×1 2×1 6×1',
        true,
      ],
      ['nobody when nobody passes a check', [sick, sick], '', false],
      ['no backup', [{}, sick, sick, sick, { isBackup: true }], '0×1 1×1 2×1 3×1', true],
      ['not while a backup can take it all', [sick, sick, { isBackup: true }], '2×1', false],
      [
        'not for what has not been checked',
        [{}, { health: 'unknown' }, { health: 'unknown' }],
        '0×1',
        false,
      ],
      ['is one when the last healthy one is ejected', [{ ejection }, sick], '0×1 1×1', true],
    ])('%s', (_what, changes, picks, isPanic) => {
      expect(decide(changes, panic)).toMatchObject({ picks, isPanic });
    });

    it('keeps the sessions that it makes', () => {
      expect(decide([{}, sick, sick, sick], panic).keeps).toBe('0 1 2 3');
    });

    it('holds nobody back', () => {
      expect(
        decide([{ lastChange: NOW }, sick, sick, sick], { ...panic, slowStartMs: 9000 }).picks,
      ).toBe('0×1 1×1 2×1 3×1');
    });

    it('says so', () => {
      expect(decide([{}, sick, sick, sick], panic).why).toEqual([
        'healthy, last check 3 s ago',
        ...Array<string>(3).fill(
          'unhealthy, last check 3 s ago: GET /health: 500; used all the same: panic, 1 of 4 backends is eligible',
        ),
      ]);
    });
  });

  it.each<[Partial<Backend>, string]>([
    [{}, 'healthy, last check 3 s ago'],
    [{ health: 'unknown', lastCheck: undefined }, 'not checked yet'],
    [{ health: 'unhealthy', lastReason: 'refused' }, 'unhealthy, last check 3 s ago: refused'],
    [{ adminState: 'disabled' }, 'disabled by an operator'],
    [{ adminState: 'draining' }, 'draining: only the sessions that it has'],
    [
      { adminState: 'draining', breaker: open },
      'draining; circuit breaker open for 12 s more: 55 % of 40 requests failed',
    ],
    [{ ejection }, 'ejected for 27 s more: 5 failures in a row'],
    [
      { ejection: { ...ejection, mayCheckEnd: true } },
      'ejected for 27 s more, or until a check passes: 5 failures in a row',
    ],
    [{ breaker: open }, 'circuit breaker open for 12 s more: 55 % of 40 requests failed'],
    [
      { breaker: halfOpen },
      'healthy, last check 3 s ago; circuit breaker half-open, a few requests try it: 55 % of 40 requests failed',
    ],
    [{ weight: 0 }, 'weight 0: no new clients, only the sessions that it has'],
    [{ isBackup: true }, 'a backup: 2 primaries are eligible'],
    [
      { lastChange: NOW - 3000 },
      'healthy, last check 3 s ago; slow start: counts for 40 % of its weight',
    ],
  ])('is said in words: %o', (change, why) => {
    expect(decide([change, {}, {}], { slowStartMs: 9000 }).why[0]).toBe(why);
  });

  it('says why a backup and why the last one is used', () => {
    expect(decide([{ health: 'unhealthy' }, { isBackup: true }]).why[1]).toBe(
      'healthy, last check 3 s ago; a backup in use: no primary is eligible',
    );
    expect(decide([{ ejection }]).why[0]).toBe(
      'ejected for 27 s more: 5 failures in a row; used all the same: nobody else is left',
    );
  });

  const anyBackends = fc
    .array(
      fc.record({
        weight: fc.integer({ min: 0, max: 4 }),
        isBackup: fc.boolean(),
        adminState: fc.constantFrom('enabled', 'enabled', 'draining', 'disabled'),
        health: fc.constantFrom('healthy', 'healthy', 'unhealthy', 'unknown'),
        isUnreachable: fc.boolean(),
        ejection: fc.constantFrom(undefined, undefined, ejection),
        breaker: fc.constantFrom(CLOSED, CLOSED, open, halfOpen),
        lastChange: fc.integer({ min: NOW - 12_000, max: NOW }),
      }),
      { maxLength: 8 },
    )
    .map((changes) => changes.map((change, id) => one(id, change as Partial<Backend>)));
  const anyRules = fc.record({
    slowStartMs: fc.constantFrom(0, 10_000),
    panicThresholdPercent: fc.constantFrom(0, 50, 100),
  });

  it('holds for every pool', () => {
    fc.assert(
      fc.property(anyBackends, anyRules, (backends, rules) => {
        const decision = decideEligibility(backends, rules, NOW);
        const { picks, keeps, spares, isPanic } = decision.eligibility;
        const byId = new Map(backends.map((backend) => [backend.id, backend]));
        const picked = picks.map(({ id }) => byId.get(id) as Backend);
        const primaries = backends.filter((b) => isAlive(b) && b.weight > 0 && !b.isBackup);

        expect(picks.map(({ id }) => id)).toEqual([...new Set(picks.map(({ id }) => id))]);
        for (const { weight } of picks) expect(Number.isInteger(weight) && weight >= 1).toBe(true);
        for (const backend of picked) {
          expect(backend.adminState).toBe('enabled');
          expect(backend.weight).toBeGreaterThan(0);
          expect(backend.health).not.toBe('unknown');
          expect(backend.breaker.state).not.toBe('open');
          expect(keeps).toContain(backend.id);
        }
        for (const backend of primaries) expect(picked).toContain(backend);
        const hasBackup = picked.some(({ isBackup }) => isBackup);
        expect(primaries.length > 0 && hasBackup).toBe(false);
        for (const id of keeps) expect(byId.get(id)?.adminState).not.toBe('disabled');
        const backups = backends.filter((b) => isAlive(b) && b.weight > 0 && b.isBackup);
        const isPicked = (backend: Backend) => picked.includes(backend);
        expect(spares).toEqual(backups.filter((b) => !isPicked(b)).map(({ id }) => id));
        expect(isPanic && rules.panicThresholdPercent === 0).toBe(false);
        expect(isPanic || picked.every(({ health }) => health === 'healthy')).toBe(true);
        const isAnyHealthy = backends.some(
          (b) =>
            b.health === 'healthy' &&
            b.adminState === 'enabled' &&
            b.weight > 0 &&
            b.breaker.state !== 'open',
        );
        expect(picks.length > 0).toBe(isAnyHealthy);
        expect(decision.nextStepAt ?? Infinity).toBeGreaterThan(NOW);
        for (const backend of backends) {
          expect(explainEligibility(backend, decision, IDLE, NOW)).not.toMatch(
            /undefined|NaN|null/,
          );
        }
      }),
    );
  });
});
