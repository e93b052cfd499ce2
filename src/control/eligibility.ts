/**
 * Which backends new clients go to, which ones keep the clients they have, and how much each counts for. Pure.
 *
 * - Picked are the primaries that are alive, by their weights. Weight 0 is never picked.
 * - Backups are picked while no primary is alive. As in HAProxy, a backup keeps its sessions as long as it is alive, also
 *   when the primaries are back: moving clients twice would be worse.
 * - A backup that is not picked is a spare: as in nginx, it gets the requests that all of the picked have failed.
 * - Sessions stay with whoever is alive, weight 0 included, and with draining backends that are fit, until the deadline
 *   of the drain or for as long as the operator said. Only a WebSocket leaves a draining backend at once: its client has
 *   just been told to go, or would have to be.
 * - An ejection never takes the last one: when nobody else is left, ejected backends that pass their checks are picked.
 * - Slow start, as nginx and HAProxy have it: a backend that is alive again counts from a tenth up to all of its weight, in
 *   ten steps. Skipped while all are cold: nobody could take what they are spared.
 * - Panic, as in Envoy: see docs/decisions/0008-panic.md.
 */
import type { Eligibility } from '../snapshot/snapshot.ts';
import { type Backend, isAlive, isFit } from './backend.ts';

export interface EligibilityRules {
  /** 0: off. */
  readonly slowStartMs: number;
  /** 0: never. */
  readonly panicThresholdPercent: number;
}

export interface Decision {
  readonly eligibility: Eligibility;
  /** What each of the picked counts for, in tenths of its weight. */
  readonly tenths: ReadonlyMap<number, number>;
  /** Primaries whose health is known and that operators want in use, and those of them that are eligible. */
  readonly primaries: number;
  readonly eligiblePrimaries: number;
  /** When it may be another one though nothing happens: the next step of a slow start. */
  readonly nextStepAt: number | undefined;
}

/** With fewer there is no panic while one is eligible: of two or three, the last one is more likely right than in trouble. */
const PANIC_MIN_BACKENDS = 4;

/** A full weight. */
export const TENTHS = 10;
/** The tenth one begins when the time is over. */
const STEPS = TENTHS - 1;

export function decideEligibility(
  backends: readonly Backend[],
  rules: EligibilityRules,
  now: number,
): Decision {
  const wanted = backends.filter(
    ({ adminState, weight }) => adminState === 'enabled' && weight > 0,
  );
  // Those that have not been checked yet say nothing about the pool: else each start would begin with a panic.
  const known = wanted.filter(({ isBackup, health }) => !isBackup && health !== 'unknown');
  const primaries = known.filter(isAlive);
  const regular = primaries.length > 0 ? primaries : wanted.filter(isAlive);
  const base = regular.length > 0 ? regular : onlyEjected(wanted);
  const isSmall = known.length < PANIC_MIN_BACKENDS && primaries.length > 0;
  const hasTooFew = !isSmall && primaries.length * 100 < rules.panicThresholdPercent * known.length;
  // Backups that are alive are better than primaries that are not.
  const mayPanic = primaries.length > 0 || (regular.length === 0 && base.length > 0);
  const picked =
    hasTooFew && mayPanic
      ? wanted.filter((one) => base.includes(one) || (known.includes(one) && mayServe(one)))
      : base;
  const isPanic = picked.length > base.length;

  const ramp = isPanic ? NO_RAMP : rampOf(picked, rules.slowStartMs, now);
  const scale = ramp.tenths.size === 0 ? 1 : TENTHS;
  const tenths = new Map(picked.map(({ id }) => [id, ramp.tenths.get(id) ?? TENTHS]));
  const pickedIds = new Set(tenths.keys());
  const keepers = backends.filter((backend) => pickedIds.has(backend.id) || keepsSessions(backend));
  return {
    eligibility: {
      picks: picked.map(({ id, weight }) => ({
        id,
        weight: (weight * scale * (tenths.get(id) as number)) / TENTHS,
      })),
      keeps: keepers.map(({ id }) => id),
      draining: keepers.filter(({ adminState }) => adminState === 'draining').map(({ id }) => id),
      spares: wanted
        .filter((backend) => backend.isBackup && isAlive(backend) && !pickedIds.has(backend.id))
        .map(({ id }) => id),
      isPanic,
      hint: picked.length === 0 ? whyNobody(backends, wanted) : '',
    },
    tenths,
    primaries: known.length,
    eligiblePrimaries: primaries.length,
    nextStepAt: ramp.nextStepAt,
  };
}

function keepsSessions(backend: Backend): boolean {
  return backend.adminState !== 'disabled' && !backend.hasMovedSessions && isFit(backend);
}

/** Of one backend, a known remedy before a mere reason: what a pool meets is mostly the same for all of its backends. */
function whyNobody(backends: readonly Backend[], wanted: readonly Backend[]): string {
  const hinted = wanted.find(({ hint }) => hint !== '');
  if (hinted !== undefined) return `${hinted.address.url}: ${hinted.hint}`;
  const known = wanted.find(({ health }) => health !== 'unknown') ?? wanted[0];
  if (known !== undefined) return `${known.address.url}: ${ailmentOf(known)}`;
  const disabled = backends.filter(({ adminState }) => adminState === 'disabled').length;
  const draining = backends.filter(({ adminState }) => adminState === 'draining').length;
  const weightless = backends.length - disabled - draining;
  return [
    ...(disabled > 0 ? [`${disabled} disabled`] : []),
    ...(draining > 0 ? [`${draining} draining`] : []),
    ...(weightless > 0 ? [`${weightless} of weight 0`] : []),
  ].join(', ');
}

function ailmentOf({ health, lastReason, breaker }: Backend): string {
  if (health === 'unknown') return lastReason ?? 'not checked yet';
  if (health === 'unhealthy') return `unhealthy: ${lastReason}`;
  return `circuit breaker ${breaker.state}: ${breaker.reason}`;
}

/** Out for nothing but an ejection; primaries before backups. */
function onlyEjected(wanted: readonly Backend[]): readonly Backend[] {
  const ejected = wanted.filter((backend) => isFit({ ...backend, ejection: undefined }));
  const primaries = ejected.filter(({ isBackup }) => !isBackup);
  return primaries.length > 0 ? primaries : ejected;
}

/** In a panic. What refuses connections can't serve, and an open breaker lets nothing through. */
function mayServe({ isUnreachable, breaker }: Backend): boolean {
  return !isUnreachable && breaker.state !== 'open';
}

interface Ramp {
  /** Only of those that do not count fully; empty when nobody is held back. */
  readonly tenths: ReadonlyMap<number, number>;
  readonly nextStepAt: number | undefined;
}

const NO_RAMP: Ramp = { tenths: new Map(), nextStepAt: undefined };

function rampOf(picked: readonly Backend[], slowStartMs: number, now: number): Ramp {
  const tenths = new Map<number, number>();
  let nextStepAt = Number.POSITIVE_INFINITY;
  for (const { id, lastChange } of picked) {
    const step = Math.floor((Math.max(0, now - lastChange) * STEPS) / slowStartMs);
    // With a slow start of 0 the step is infinite, or at its very moment not a number.
    if (!(step < STEPS)) continue;
    tenths.set(id, step + 1);
    nextStepAt = Math.min(nextStepAt, lastChange + ((step + 1) * slowStartMs) / STEPS);
  }
  if (tenths.size === 0) return NO_RAMP;
  return { tenths: tenths.size < picked.length ? tenths : NO_RAMP.tenths, nextStepAt };
}
