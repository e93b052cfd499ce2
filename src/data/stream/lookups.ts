/**
 * The addresses of backends' names, as this thread knows them. One lookup serves all connections that wait for it, and those of
 * the seconds behind it; nobody waits for one while there is an answer that may be used: it is renewed in the background.
 *
 * The system's resolver (`getaddrinfo`) tells no time to live, so an answer is taken for fresh for 5 s. One that can't be
 * renewed stays in use for 5 minutes: a resolver that is down must not take down who could do without it.
 */
import {
  type Address,
  type Answered,
  askSystem,
  interleaved,
  notFound,
} from '../../net/addresses.ts';

const FRESH_MS = 5_000;
/** Of the last answer, from when it came. */
const USABLE_MS = 5 * 60_000;
/** So long an error stands for the answer, where there is none: a name that does not exist is not asked for by each request. */
const FAILED_MS = 1_000;

/** Whoever waits for addresses: told of one of the two, once, later. Must not throw. */
export interface LookupUser {
  onAddresses(addresses: readonly Address[]): void;
  onLookupFailed(error: Error): void;
}

/** Whoever wants to know how names change. */
export interface LookupListener {
  /** Of the addresses of `host`, some are gone; these are left. */
  onMoved(host: string, addresses: ReadonlySet<string>): void;
  /** Its last addresses stay in use. Called for the first failure in a row. */
  onRefreshFailed(host: string, error: Error): void;
}

class Name {
  readonly host: string;
  /** In the order in which they are tried; empty: none is known. */
  addresses: readonly Address[] = [];
  answeredAtMs = Number.NEGATIVE_INFINITY;
  askAgainAtMs = Number.NEGATIVE_INFINITY;
  /** Of the last lookup. */
  error: Error | null = null;
  isAsked = false;
  readonly waiting = new Set<LookupUser>();

  constructor(host: string) {
    this.host = host;
  }
}

export class Lookups {
  listener: LookupListener | null = null;
  readonly #names = new Map<string, Name>();
  readonly #now: () => number;
  readonly #ask: (host: string, onAnswer: Answered) => void;
  /** The system's threads that look up are few, for all names together: whoever waits comes before whom nobody waits for. */
  #isRefreshing = false;

  /** @param now milliseconds on a monotonic clock. */
  constructor(now = (): number => performance.now(), ask = askSystem) {
    this.#now = now;
    this.#ask = ask;
  }

  /** @returns the addresses, not empty; null: `user` is told later. */
  find(host: string, user: LookupUser): readonly Address[] | null {
    let name = this.#names.get(host);
    if (name === undefined) {
      name = new Name(host);
      this.#names.set(host, name);
    }
    const nowMs = this.#now();
    if (this.#isUsable(name, nowMs)) {
      this.#refresh(name, nowMs);
      return name.addresses;
    }
    name.waiting.add(user);
    if (name.isAsked) return null;
    if (nowMs < name.askAgainAtMs) process.nextTick(() => this.#tellWaiting(name));
    else this.#look(name, false);
    return null;
  }

  /** `user` does not want to know any more. */
  callOff(host: string, user: LookupUser): void {
    this.#names.get(host)?.waiting.delete(user);
  }

  /** Asks anew for a name that connections lead to, if it is time. */
  refresh(host: string): void {
    const name = this.#names.get(host);
    if (name !== undefined) this.#refresh(name, this.#now());
  }

  /** Whether `address` is not known to have left the addresses of `host`. */
  mayBe(host: string, address: string): boolean {
    const name = this.#names.get(host);
    return name === undefined || name.addresses.length === 0 || isAmong(address, name.addresses);
  }

  /** Forgets all names but these. */
  keepOnly(hosts: ReadonlySet<string>): void {
    for (const [host, { waiting }] of this.#names) {
      if (!hosts.has(host) && waiting.size === 0) this.#names.delete(host);
    }
  }

  #isUsable({ addresses, answeredAtMs }: Name, nowMs: number): boolean {
    return addresses.length > 0 && nowMs - answeredAtMs < USABLE_MS;
  }

  #refresh(name: Name, nowMs: number): void {
    if (name.isAsked || this.#isRefreshing || nowMs < name.askAgainAtMs) return;
    this.#isRefreshing = true;
    this.#look(name, true);
  }

  #look(name: Name, isRefresh: boolean): void {
    name.isAsked = true;
    let isAnswered = false;
    const answered: Answered = (error, addresses) => {
      if (isAnswered) return;
      isAnswered = true;
      name.isAsked = false;
      if (isRefresh) this.#isRefreshing = false;
      if (error === null && addresses.length > 0) this.#take(name, interleaved(addresses));
      else this.#fail(name, error ?? notFound(name.host));
      this.#tellWaiting(name);
    };
    try {
      this.#ask(name.host, answered);
    } catch (error) {
      process.nextTick(() => answered(error as Error, []));
    }
  }

  #take(name: Name, addresses: readonly Address[]): void {
    const nowMs = this.#now();
    const isMoved = name.addresses.some(({ address }) => !isAmong(address, addresses));
    name.addresses = addresses;
    name.answeredAtMs = nowMs;
    name.askAgainAtMs = nowMs + FRESH_MS;
    name.error = null;
    if (!isMoved) return;
    this.listener?.onMoved(name.host, new Set(addresses.map(({ address }) => address)));
  }

  #fail(name: Name, error: Error): void {
    const nowMs = this.#now();
    const isFirst = name.error === null;
    const isUsable = this.#isUsable(name, nowMs);
    name.error = error;
    name.askAgainAtMs = nowMs + (isUsable ? FRESH_MS : FAILED_MS);
    if (isUsable && isFirst) this.listener?.onRefreshFailed(name.host, error);
  }

  #tellWaiting(name: Name): void {
    if (name.isAsked) return;
    const users = [...name.waiting];
    name.waiting.clear();
    const isUsable = this.#isUsable(name, this.#now());
    for (const user of users) {
      if (isUsable) user.onAddresses(name.addresses);
      else user.onLookupFailed(name.error ?? notFound(name.host));
    }
  }
}

function isAmong(address: string, addresses: readonly Address[]): boolean {
  return addresses.some((one) => one.address === address);
}
