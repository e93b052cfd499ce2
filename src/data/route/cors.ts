/**
 * CORS: what answers say of who may read them, and the answer to a preflight
 * (https://fetch.spec.whatwg.org/#http-cors-protocol). Browsers alone go by it: nobody is refused here.
 */
import type { Rewriting } from '../../snapshot/rewriting.ts';
import type { Cors } from '../../snapshot/route-answer.ts';
import { fieldNamed, type Head } from '../wire/head.ts';
import type { FieldChanges } from './field-changes.ts';
import type { TemplateSource } from './template.ts';

/** What an answer says; those of a backend would contradict ours. */
const OF_ANSWERS = [
  'Access-Control-Allow-Origin',
  'Access-Control-Allow-Credentials',
  'Access-Control-Expose-Headers',
  'Access-Control-Allow-Methods',
  'Access-Control-Allow-Headers',
  'Access-Control-Max-Age',
];

const PREFLIGHT_VARIES =
  'Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n';
const NO_CONTENT = 204;

/** With what a route says of CORS, this is what it changes in answers beside that. */
export function rewritingBesideCors(rewriting: Rewriting | null): Rewriting {
  const { target = null, requestFields = null, responseFields = null } = rewriting ?? {};
  const { set = [], add = [], remove = [] } = responseFields ?? {};
  return {
    target,
    requestFields,
    responseFields: { set, add, remove: [...remove, ...OF_ANSWERS] },
  };
}

/** An answer that needs no backend, but for the time of day. */
interface PreflightAnswer {
  readonly status: number;
  /** Whole field lines. */
  readonly fields: string;
  readonly body: string;
}

export class CorsRules {
  readonly #origins: ReadonlySet<string>;
  readonly #wildcards: readonly Wildcard[];
  /** Else the origin itself has to be said, and answers differ by it. */
  readonly #isAny: boolean;
  /** Field lines for origins that may ask: of preflights but for the fields they ask for, and of all other answers. */
  readonly #preflightLines: string;
  readonly #answerLines: string;
  readonly #allowsAllFields: boolean;

  constructor({ origins, methods, headers, exposed, hasCredentials, maxAgeSeconds }: Cors) {
    const wildcards = origins.filter((one) => one.includes(ANY_BELOW));
    this.#wildcards = wildcards.map((one) => new Wildcard(one));
    this.#origins = new Set(origins.filter((one) => !wildcards.includes(one)));
    this.#isAny = origins.length === 0;
    this.#allowsAllFields = headers === null;
    const credentials = hasCredentials ? 'Access-Control-Allow-Credentials: true\r\n' : '';
    this.#preflightLines =
      credentials +
      line('Access-Control-Allow-Methods', methods) +
      line('Access-Control-Allow-Headers', headers ?? []) +
      (maxAgeSeconds === 0 ? '' : `Access-Control-Max-Age: ${maxAgeSeconds}\r\n`);
    this.#answerLines = credentials + line('Access-Control-Expose-Headers', exposed ?? ['*']);
  }

  /** Null: it is none. Who may not ask is told nothing, and so the browser does not ask. */
  preflight({ facts, head }: TemplateSource): PreflightAnswer | null {
    if (facts.method !== 'OPTIONS') return null;
    const origin = fieldNamed(head, 'origin');
    if (origin === null || fieldNamed(head, 'access-control-request-method') === null) return null;
    let fields = PREFLIGHT_VARIES;
    if (this.#mayAsk(origin)) {
      fields += this.#allowLine(origin) + this.#preflightLines;
      const asked = this.#allowsAllFields
        ? fieldNamed(head, 'access-control-request-headers')
        : null;
      // As it was asked: with credentials, browsers know no `*`.
      if (asked !== null) fields += `Access-Control-Allow-Headers: ${asked}\r\n`;
    }
    return { status: NO_CONTENT, fields, body: '' };
  }

  /** @param changes of the answer, with what `rewritingBesideCors` takes away. */
  added(head: Head, { dropped, lines }: FieldChanges): FieldChanges {
    const origin = fieldNamed(head, 'origin');
    let added = this.#isAny ? '' : 'Vary: Origin\r\n';
    if (this.#isAny || (origin !== null && this.#mayAsk(origin))) {
      added += this.#allowLine(origin ?? '') + this.#answerLines;
    }
    return { dropped, lines: lines + added };
  }

  #mayAsk(origin: string): boolean {
    if (this.#isAny || this.#origins.has(origin)) return true;
    return this.#wildcards.some((one) => one.matches(origin));
  }

  #allowLine(origin: string): string {
    return `Access-Control-Allow-Origin: ${this.#isAny ? '*' : origin}\r\n`;
  }
}

function line(name: string, values: readonly string[]): string {
  return values.length === 0 ? '' : `${name}: ${values.join(', ')}\r\n`;
}

const ANY_BELOW = '://*.';
const LABELS = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

class Wildcard {
  /** `https://`, and `.example.com` with the port, if there is one. */
  readonly #start: string;
  readonly #end: string;

  constructor(origin: string) {
    const star = origin.indexOf('*');
    this.#start = origin.slice(0, star);
    this.#end = origin.slice(star + 1);
  }

  matches(origin: string): boolean {
    const length = this.#start.length + this.#end.length;
    if (origin.length <= length) return false;
    if (!origin.startsWith(this.#start) || !origin.endsWith(this.#end)) return false;
    return LABELS.test(origin.slice(this.#start.length, origin.length - this.#end.length));
  }
}
