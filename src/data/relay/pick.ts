/**
 * Who gets an attempt: the one place in which a backend is chosen, and where it is said how that came about.
 *
 * In this order: the connection that the client has for itself, its session, the strategy; and spares once all of the
 * eligible have failed the request. Who has no room is passed over for the next.
 */
import type { ErrorCode } from '../../errors.ts';
import type { Draw } from '../../snapshot/explanation.ts';
import type { Backend } from '../backend/backend.ts';
import type { PoolView } from '../pool/pool-view.ts';
import { normalPath } from '../wire/path.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import type { Chosen } from './chosen.ts';
import type { Hooks } from './hooks.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { Tries } from './tries.ts';

/** The attempts of one exchange: what they know, and what a pick has to say beside the attempt that it begins. */
export interface Picker {
  readonly request: IncomingRequest;
  /** What has failed so far; null: nothing. */
  readonly tries: Tries | null;
  /** The attempt that is under way. */
  readonly current: Attempt | null;
  /** Set: the attempt that was begun last, which is nobody's yet. If it gets lost by an exception, it is found here. */
  beginning: Attempt | null;
  /** Set: a draining backend that the session was with, and that serves the request if nobody else does. */
  drainingKeeper: Backend | null;
  /** Where the session was found last. What is learned after that is not this request's to move. */
  keeper: Backend | null;
  /** Set: the attempt begins a session, or moves it. */
  bindsSession: boolean;
  /** Set: the strategy has been asked for this request. What it is asked after that takes no turn: see `Strategy.pick`. */
  hasTurn: boolean;
  /** Set: a backend without room was met, and not only circuit breakers that let nothing through. */
  isAnyFull: boolean;
  /** Set: it is only asked who would get the request, and what the strategy did is told here. Nothing is changed. */
  readonly draws?: Draw[];
}

const NOBODY: readonly Backend[] = [];

/** Begins the next attempt of the exchange, or says why there is none. @param startedAt on the precise clock */
export function pick(
  picker: Picker,
  owner: AttemptOwner,
  view: PoolView,
  startedAt: number,
): Attempt | ErrorCode {
  if (isUnclear(picker, view)) return 'ERR_BAD_PATH';
  const { tries } = picker;
  if (tries?.isForIdle === true) return beginIdle(picker, owner, view, startedAt);
  return (
    beginPinned(picker, owner, view, startedAt) ??
    beginAny(
      picker,
      owner,
      view,
      startedAt,
      triedBy(picker),
      tries?.isRace === true ? 'race' : null,
    )
  );
}

/**
 * The same for a hedge beside the current attempt. The session stays where it is.
 * @param unfit those that it must not go to: see `unfitForHedge`.
 */
export function pickHedge(
  picker: Picker,
  owner: AttemptOwner,
  view: PoolView,
  startedAt: number,
  unfit: readonly Backend[],
): Attempt | ErrorCode {
  if (isUnclear(picker, view)) return 'ERR_BAD_PATH';
  const { bindsSession } = picker;
  const attempt = beginAny(picker, owner, view, startedAt, unfit, 'hedge');
  picker.bindsSession = bindsSession;
  return attempt;
}

/**
 * The request came when nobody looked at its path, and has waited; since then a backend has a path, and it could lead out of that.
 * Those that come now are refused as well, whoever would serve them.
 */
function isUnclear({ request }: Picker, { spec, rules }: PoolView): boolean {
  return spec.hasBasePaths && normalPath(request.facts.path, rules.paths) === null;
}

/** On the connection that the request's client has for itself; null when there is none, or no room. */
function beginPinned(
  picker: Picker,
  owner: AttemptOwner,
  view: PoolView,
  startedAt: number,
): Attempt | null {
  const { pin } = picker.request;
  const pinned = pin.take(view, owner.context.view.backends, startedAt);
  if (pinned === null) return null;
  const { backend, connection } = pinned;
  const attempt = new Attempt(owner, view, backend, picker.request.policies, startedAt);
  attempt.chosen = 'pinned';
  picker.beginning = attempt;
  if (attempt.begin(false, picker.request, connection) === null) return attempt;
  pin.drop(connection);
  return null;
}

/** On an idle connection: we could open no other. */
function beginIdle(
  picker: Picker,
  owner: AttemptOwner,
  view: PoolView,
  startedAt: number,
): Attempt | ErrorCode {
  const backend = idleFor(picker, view, startedAt);
  if (backend === null) return 'ERR_NO_BACKEND';
  const attempt = new Attempt(owner, view, backend, picker.request.policies, startedAt);
  attempt.chosen = 'idle';
  picker.beginning = attempt;
  return attempt.begin(false, picker.request) ?? attempt;
}

/** Who would serve the request over an idle connection: where its session is, or else where there is least to do. */
export function idleFor(picker: Picker, view: PoolView, nowMs: number): Backend | null {
  const home = pickForSession(picker, view, null);
  if (home !== null && hasIdle(picker, view, home, nowMs)) return home;
  if (home !== null && mustStay(picker, view)) return null;
  let best: Backend | null = null;
  for (const one of view.eligible) {
    const isBetter = best === null || one.inFlight * best.weight < best.inFlight * one.weight;
    if (isBetter && hasIdle(picker, view, one, nowMs)) best = one;
  }
  return best;
}

/** The client's session is tied to a backend that has not failed the request. */
function mustStay({ bindsSession }: Picker, { sessions }: PoolView): boolean {
  return sessions?.isTied === true && !bindsSession;
}

function hasIdle(picker: Picker, { spec }: PoolView, backend: Backend, nowMs: number): boolean {
  const { maxRequests, maxConnections } = spec;
  if (triedBy(picker)?.includes(backend) === true) return false;
  return backend.hasRoom(maxRequests, maxConnections) && backend.hasIdle(nowMs);
}

/** @param as what it is called, whoever chooses; null: by who does. */
function beginAny(
  picker: Picker,
  owner: AttemptOwner,
  view: PoolView,
  startedAt: number,
  unfit: readonly Backend[] | null,
  as: 'hedge' | 'race' | null,
): Attempt | ErrorCode {
  const needsFresh = picker.tries !== null && picker.tries.races > 0;
  let avoid = unfit ?? (picker.hasTurn ? NOBODY : null);
  let hasAnyRefused = false;
  picker.isAnyFull = false;
  for (;;) {
    const backend = choose(picker, owner.context.hooks, view, avoid);
    const chosen = chosenBy;
    if (backend === null) return hasAnyRefused ? 'ERR_BACKENDS_FULL' : 'ERR_NO_BACKEND';
    const attempt = new Attempt(owner, view, backend, picker.request.policies, startedAt);
    attempt.chosen = as ?? chosen;
    picker.beginning = attempt;
    const refusal = attempt.begin(needsFresh, picker.request);
    if (refusal === null) return attempt;
    hasAnyRefused = true;
    if (refusal === 'ERR_BACKENDS_FULL') picker.isAnyFull = true;
    if (chosen === 'session' && mustStay(picker, view)) return 'ERR_BACKENDS_FULL';
    avoid = avoid === null ? [backend] : [...avoid, backend];
  }
}

/** Null as a rule: there is none, or it leaves the choice to the strategy. */
function pickByFunction(
  { request: { asked } }: Picker,
  hooks: Hooks | null,
  { eligible }: PoolView,
  avoid: readonly Backend[] | null,
): Backend | null {
  return hooks === null || asked === null ? null : hooks.pick(asked, eligible, avoid);
}

/** Who has chosen last in `choose`; a thread runs one call at a time. */
let chosenBy: Chosen = 'strategy';

function choose(
  picker: Picker,
  hooks: Hooks | null,
  view: PoolView,
  avoid: readonly Backend[] | null,
): Backend | null {
  chosenBy = 'session';
  let backend = pickForSession(picker, view, avoid);
  if (backend === null) {
    chosenBy = 'strategy';
    picker.hasTurn = true;
    backend = pickByFunction(picker, hooks, view, avoid);
    if (backend === null) backend = pickByStrategy(picker, view, avoid);
    else chosenBy = 'function';
  }
  // Whoever chooses falls back on the avoided when nothing else is left.
  if (avoid !== null && backend !== null && avoid.includes(backend)) {
    chosenBy = 'spare';
    backend = pickSpare(picker, view, avoid);
  }
  return backend;
}

function pickByStrategy(
  { request: { keys, clientAddress }, draws }: Picker,
  { strategy }: PoolView,
  avoid: readonly Backend[] | null,
): Backend | null {
  const key = keys?.hash ?? clientAddress;
  if (draws === undefined) return strategy.pick(key, avoid);
  const { backend, draw } = strategy.preview(key, avoid);
  if (draw !== null) draws.push(draw);
  return backend;
}

/** Whom a request would be given to that came now. */
export interface Foreseen {
  readonly backend: Backend | null;
  readonly chosen: Chosen;
  /** Those that were asked first and have no room. */
  readonly full: readonly Backend[];
}

/** What `pick` comes to for a first attempt, where no function of the program chooses. @param picker with `draws` */
export function foresee(picker: Picker, view: PoolView): Foreseen {
  const { maxRequests, maxConnections } = view.spec;
  let avoid: readonly Backend[] | null = null;
  for (;;) {
    const backend = choose(picker, null, view, avoid);
    const chosen = chosenBy;
    const full: readonly Backend[] = avoid ?? NOBODY;
    if (backend === null) return { backend, chosen, full };
    if (backend.hasRoom(maxRequests, maxConnections)) return { backend, chosen, full };
    avoid = [...full, backend];
    if (chosen === 'session' && mustStay(picker, view)) {
      return { backend: null, chosen, full: avoid };
    }
  }
}

/** Where the client's session is, or where it begins; null where that is the strategy's to say. */
function pickForSession(
  picker: Picker,
  view: PoolView,
  avoid: readonly Backend[] | null,
): Backend | null {
  const { sessions } = view;
  if (sessions === null) return null;
  const { request } = picker;
  const key = request.keys?.session ?? null;
  const found = picker.draws === undefined ? sessions.lookup(key) : sessions.peek(key);
  const takesItAlong = !sessions.isTied && request.facts.upgrade !== '';
  const kept = found !== null && takesItAlong && mustMove(found, view, avoid) ? null : found;
  picker.keeper = found;
  picker.drainingKeeper = kept === null ? found : null;
  // A full backend sends its client elsewhere for this once; one that has failed it loses its session.
  picker.bindsSession = kept === null || triedBy(picker)?.includes(kept) === true;
  if (kept !== null && avoid?.includes(kept) !== true) return kept;
  return sessions.choose(key, avoid);
}

/** A tunnel takes its session along: else it would come back as often as the draining backend sends it away. */
function mustMove(
  kept: Backend,
  { draining, eligible }: PoolView,
  avoid: readonly Backend[] | null,
): boolean {
  return draining.includes(kept) && eligible.some((one) => avoid?.includes(one) !== true);
}

/** Once all of the eligible have failed the request; not for a hedge: who is slow has not failed. */
function pickSpare(
  picker: Picker,
  { eligible, spares }: PoolView,
  avoid: readonly Backend[],
): Backend | null {
  const tried = triedBy(picker);
  if (tried === null || picker.current !== null) return null;
  if (!eligible.every((backend) => tried.includes(backend))) return null;
  return spares.find((backend) => !avoid.includes(backend)) ?? null;
}

function triedBy({ tries }: Picker): readonly Backend[] | null {
  return tries === null ? null : tries.backends;
}

/** Those that a hedge beside an attempt at `current` must not go to. */
export function unfitForHedge({ eligible, spec }: PoolView, current: Backend): Backend[] {
  const { maxRequests, maxConnections } = spec;
  return eligible.filter(
    (one) =>
      one === current ||
      // Called off, a request that tries a backend out would never tell.
      !one.counters.isGateWideOpen ||
      !one.hasRoom(maxRequests, maxConnections),
  );
}

/**
 * There is a backend that this exchange has not been to.
 * @param last where it was last, failed or not
 * @param withRoom and that would take it
 */
export function hasAnother(
  picker: Picker,
  { eligible, spares, spec }: PoolView,
  last: Backend | null,
  withRoom: boolean,
): boolean {
  const { drainingKeeper } = picker;
  const tried = triedBy(picker);
  const { maxRequests, maxConnections } = spec;
  const isTried = (one: Backend): boolean => one === last || tried?.includes(one) === true;
  const isLeft = (one: Backend): boolean =>
    !isTried(one) && (!withRoom || one.hasRoom(maxRequests, maxConnections));
  if (eligible.some((one) => !isTried(one))) return eligible.some(isLeft);
  // Spares are for what all of the eligible have failed.
  return spares.some(isLeft) || (drainingKeeper !== null && isLeft(drainingKeeper));
}
