/**
 * A route that is split over several pools: which part a request gets.
 *
 * In this order: the part where the client has logged in on its connection (NTLM); the part whose pool has the client's session, where clients carry it themselves (a cookie) or their backends have
 * given it (learned); a hash of the client, where a pool is sticky by its address, a header or a query parameter; turns by
 * weight. The hash is weighted rendezvous, as in balance/rendezvous.ts, over the names of the parts: it says the same in every
 * thread, after every reload, in every process, and a weight that changes moves the clients that it must.
 *
 * A part whose pool has nobody for it is passed over for as long as that lasts, as by Traefik: a canary that is down costs its
 * clients nothing. Where nobody has anybody, the request is answered by the part that it would have got.
 */
import type { RequestKey } from '../../snapshot/policies.ts';
import { golden } from '../balance/golden-ratio.ts';
import { hashText } from '../balance/hash.ts';
import type { Head } from '../wire/head.ts';
import { requestKey } from '../wire/request-key.ts';
import type { PoolView } from './pool-view.ts';

/** One part, and what its requests get. */
export interface SplitPart<Target> {
  readonly name: string;
  /** 0: only those that have a session. */
  readonly weight: number;
  readonly view: PoolView;
  readonly target: Target;
}

/** Where the client has backend connections for itself, as with NTLM: elsewhere nobody knows who it is. */
export interface ClientLogins {
  readonly hasAny: boolean;
  isIn(view: PoolView): boolean;
}

export class Split<Target> {
  readonly #parts: readonly SplitPart<Target>[];
  /** Those whose sessions show in a request. */
  readonly #carrying: readonly SplitPart<Target>[];
  /** What all others are told apart by; null: by nothing. */
  readonly #key: RequestKey | null;
  readonly #seeds: readonly number[];
  #turn: number;

  /** @param random in [0, 1): where the turns of this thread begin. */
  constructor(parts: readonly SplitPart<Target>[], random: number) {
    this.#parts = parts;
    this.#carrying = parts.filter(({ view }) => isCarried(view));
    const tabled = parts.find(({ view }) => view.spec.sticky !== null && !isCarried(view));
    this.#key = tabled?.view.spec.sticky?.key ?? null;
    this.#seeds = parts.map(({ name }) => hashText(name, 0));
    this.#turn = random;
  }

  /** @param path as in `RequestFacts.path`. */
  choose(head: Head, path: string, clientAddress: string, logins: ClientLogins): Target {
    if (logins.hasAny) {
      for (const { view, target } of this.#parts) {
        if (logins.isIn(view)) return target;
      }
    }
    for (const part of this.#carrying) {
      if (hasSession(part.view, head, path)) return part.target;
    }
    const key = this.#key;
    const index =
      key === null
        ? this.#byTurn()
        : this.#byHash(requestKey(key, head, path) ?? clientAddress, true);
    return (this.#parts[index] as SplitPart<Target>).target;
  }

  /** The same, and the turn is left to the next one. */
  preview(head: Head, path: string, clientAddress: string, logins: ClientLogins): Target {
    const turn = this.#turn;
    const target = this.choose(head, path, clientAddress, logins);
    this.#turn = turn;
    return target;
  }

  #byHash(client: string, isForReady: boolean): number {
    const parts = this.#parts;
    let best = -1;
    let bestCost = Number.POSITIVE_INFINITY;
    for (let index = 0; index < parts.length; index++) {
      const { weight, view } = parts[index] as SplitPart<Target>;
      if (weight === 0 || (isForReady && view.eligible.length === 0)) continue;
      const hash = hashText(client, this.#seeds[index] as number);
      const cost = -Math.log1p(-((hash >>> 0) + 0.5) / 0x1_00_00_00_00) / weight;
      if (cost >= bestCost) continue;
      best = index;
      bestCost = cost;
    }
    return best === -1 ? this.#byHash(client, false) : best;
  }

  #byTurn(): number {
    const parts = this.#parts;
    let ready = 0;
    let all = 0;
    for (const { weight, view } of parts) {
      all += weight;
      if (view.eligible.length > 0) ready += weight;
    }
    this.#turn = golden(this.#turn);
    let left = this.#turn * (ready === 0 ? all : ready);
    let last = -1;
    for (let index = 0; index < parts.length; index++) {
      const { weight, view } = parts[index] as SplitPart<Target>;
      if (weight === 0 || (ready > 0 && view.eligible.length === 0)) continue;
      last = index;
      left -= weight;
      if (left < 0) break;
    }
    return last;
  }
}

/** A client carries its session, or its backends have named it: the request says whether it has one. */
function isCarried({ spec: { sticky } }: PoolView): boolean {
  return sticky !== null && (sticky.cookie !== null || sticky.learns !== null);
}

function hasSession({ spec, sessions }: PoolView, head: Head, path: string): boolean {
  if (spec.sticky === null || sessions === null) return false;
  const key = requestKey(spec.sticky.key, head, path, sessions);
  return key !== null && sessions.isKnown(key);
}
