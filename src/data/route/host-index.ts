/**
 * Hosts to numbers. A number stands for a host that routes name, exactly or by wildcard; 0 for any host.
 *
 * A host is read once, from its end to its beginning: so all its suffixes are hashed on the way, and no string is made for
 * a port, a trailing dot or letter case. Hashes are no secret, so every hit is compared letter by letter.
 */
import { addToHash, spread } from './text-hash.ts';

export const ANY_HOST = 0;
/** `wider`: there is none. */
export const NO_HOST = -1;
/**
 * `find`: a name with a percent sign. Whoever decodes it (RFC 3986 §3.2.2) reads another name than whoever does not, and no
 * client sends one.
 */
export const BAD_HOST = -2;

const PERCENT = 0x25;
const DOT = 0x2e;
const COLON = 0x3a;
const OPENING_BRACKET = 0x5b;

const UPPER_A = 0x41;
const UPPER_Z = 0x5a;

function lower(code: number): number {
  return code >= UPPER_A && code <= UPPER_Z ? code | 0x20 : code;
}

/** Where the port begins, or the trailing dot (one is taken off, RFC 3986 §3.2.2), or nothing. */
function endOfName(host: string): number {
  let end = host.length;
  let at = end - 1;
  while (at > 0 && isDigit(host.charCodeAt(at))) at--;
  if (at > 0 && host.charCodeAt(at) === COLON) end = at;
  return end > 0 && host.charCodeAt(end - 1) === DOT ? end - 1 : end;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

export class HostIndex {
  readonly #names = new NameTable();
  /** By what stands behind their `*.`. */
  readonly #wildcards = new NameTable();
  readonly #numbers = new Map<string, number>();
  /** By number: the next wider one that matches all hosts that this one does. */
  readonly #wider: number[] = [NO_HOST];
  readonly #hasAddresses: boolean;
  #lastHost: string | null = null;
  #lastNumber = ANY_HOST;

  /** @param hosts as in `RouteMatch`, of all routes; repetitions do no harm. */
  constructor(hosts: Iterable<string>) {
    for (const host of hosts) {
      if (this.#numbers.has(host)) continue;
      const number = this.#wider.length;
      this.#numbers.set(host, number);
      this.#wider.push(ANY_HOST);
      if (host.startsWith('*.')) this.#wildcards.add(host.slice(2), number);
      else this.#names.add(host, number);
    }
    for (const [host, number] of this.#numbers) this.#wider[number] = this.#widerThan(host);
    this.#hasAddresses = [...this.#numbers.keys()].some((host) => host.startsWith('['));
  }

  get count(): number {
    return this.#wider.length;
  }

  /** Of a host that was given to the constructor. */
  numberOf(host: string): number {
    return this.#numbers.get(host) ?? ANY_HOST;
  }

  wider(number: number): number {
    return this.#wider[number] as number;
  }

  /**
   * The most specific that matches, or BAD_HOST. @param host as in a Host field, or null without one.
   */
  find(host: string | null): number {
    if (this.#wider.length === 1) return ANY_HOST;
    // Requests for one host often come one after the other.
    if (host !== this.#lastHost) {
      this.#lastNumber = host === null ? ANY_HOST : this.#search(host);
      this.#lastHost = host;
    }
    return this.#lastNumber;
  }

  #search(host: string): number {
    if (host.charCodeAt(0) === OPENING_BRACKET) return this.#searchAddress(host);
    const end = endOfName(host);
    let found = ANY_HOST;
    let hash = 0;
    let labelEnd = end;
    for (let at = end - 1; at >= 0; at--) {
      let code = host.charCodeAt(at);
      // Nearly all of a host is lower case, and behind everything that is looked for.
      if (code <= UPPER_Z) {
        if (code === DOT) {
          // An empty label: it is the name of nothing.
          if (at + 1 === labelEnd || at === 0) return ANY_HOST;
          labelEnd = at;
          const wildcard = this.#wildcards.find(hash, host, at + 1, end);
          if (wildcard !== NO_HOST) found = wildcard;
        } else if (code === PERCENT) {
          return BAD_HOST;
        } else {
          code = lower(code);
        }
      }
      hash = addToHash(hash, code);
    }
    const exact = this.#names.find(hash, host, 0, end);
    return exact === NO_HOST ? found : exact;
  }

  /** IPv6 has many spellings of one address, and routes have one of them (RFC 5952). */
  #searchAddress(host: string): number {
    if (!this.#hasAddresses) return ANY_HOST;
    const url = `http://${host.slice(0, host.indexOf(']') + 1)}/`;
    return URL.canParse(url) ? this.numberOf(new URL(url).hostname) : ANY_HOST;
  }

  #widerThan(host: string): number {
    // Of a wildcard, the suffix that it is for is not wider: labels are dropped from the next one on.
    let dot = host.indexOf('.', host.startsWith('*.') ? 2 : 0);
    while (dot !== -1) {
      const number = this.#numbers.get(`*${host.slice(dot)}`);
      if (number !== undefined) return number;
      dot = host.indexOf('.', dot + 1);
    }
    return ANY_HOST;
  }
}

/** An open hash table from names to numbers that is never more than half full. */
class NameTable {
  #names: string[] = [];
  #numbers: number[] = [];
  #size = 0;
  /** Two cells a slot: the hash, and one more than the index of the name, 0 for none. */
  #slots = new Int32Array(8);
  #mask = 3;

  add(name: string, number: number): void {
    this.#names.push(name);
    this.#numbers.push(number);
    this.#size++;
    if (2 * this.#size > this.#mask + 1) this.#grow();
    else this.#put(this.#size - 1);
  }

  /** The number of `host[start, end)` in lower case, or NO_HOST. @param hash of it, from its end to its beginning. */
  find(hash: number, host: string, start: number, end: number): number {
    if (this.#size === 0) return NO_HOST;
    const slots = this.#slots;
    let slot = spread(hash) & this.#mask;
    for (;;) {
      const entry = slots[2 * slot + 1] as number;
      if (entry === 0) return NO_HOST;
      if (slots[2 * slot] === hash && isLower(host, start, end, this.#names[entry - 1] as string)) {
        return this.#numbers[entry - 1] as number;
      }
      slot = (slot + 1) & this.#mask;
    }
  }

  #grow(): void {
    this.#slots = new Int32Array(2 * this.#slots.length);
    this.#mask = 2 * this.#mask + 1;
    for (let index = 0; index < this.#size; index++) this.#put(index);
  }

  #put(index: number): void {
    const name = this.#names[index] as string;
    let hash = 0;
    for (let at = name.length - 1; at >= 0; at--) hash = addToHash(hash, name.charCodeAt(at));
    let slot = spread(hash) & this.#mask;
    while (this.#slots[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[2 * slot] = hash;
    this.#slots[2 * slot + 1] = index + 1;
  }
}

function isLower(host: string, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false;
  for (let index = 0; index < name.length; index++) {
    if (lower(host.charCodeAt(start + index)) !== name.charCodeAt(index)) return false;
  }
  return true;
}
