/** What a route changes of a request on its way, and of its answers: made ready once, used for each. */
import type { FieldRules, Rewriting, TargetRule } from '../../snapshot/rewriting.ts';
import type { PathRules } from '../../snapshot/snapshot.ts';
import { type FieldChanges, FieldRewriting } from './field-changes.ts';
import { prefixOf, restAfter } from './segments.ts';
import { rooted, TargetTemplate, type TemplateSource } from './template.ts';

/** Of one request. */
export interface Rewritten {
  /** What is forwarded, in origin form with its query, or `*`; null: nothing that may be. */
  readonly target: string | null;
  /** What changes in the request; null: nothing. */
  readonly request: FieldChanges | null;
  /** In its answer, whoever gives it. */
  readonly answer: FieldChanges | null;
}

export class RouteRewriting {
  readonly #target: TargetRewriting | null;
  readonly #prefixRule: PrefixRule | null;
  readonly #request: FieldRewriting | null;
  readonly #answer: FieldRewriting | null;

  /** @param sendsXForwarded backends are told of a prefix that was taken off. */
  constructor(
    { target, requestFields, responseFields }: Rewriting,
    rules: PathRules,
    sendsXForwarded: boolean,
  ) {
    this.#target = target === null ? null : targetRewriting(target, rules);
    const tells = sendsXForwarded && target?.kind === 'strip' && !namesPrefix(requestFields);
    this.#prefixRule = tells ? new PrefixRule(target.segments) : null;
    this.#request = requestFields === null ? null : new FieldRewriting(requestFields);
    this.#answer = responseFields === null ? null : new FieldRewriting(responseFields);
  }

  rewrite(source: TemplateSource): Rewritten {
    const { path } = source.facts;
    const request = this.#request === null ? null : this.#request.changes(source);
    return {
      // `*` is the server as a whole.
      target: this.#target === null || path === '*' ? path : this.#target.text(source),
      request: this.#prefixRule === null ? request : this.#prefixRule.added(path, request),
      answer: this.#answer === null ? null : this.#answer.changes(source),
    };
  }
}

interface TargetRewriting {
  text(source: TemplateSource): string | null;
}

function targetRewriting(target: TargetRule, rules: PathRules): TargetRewriting {
  return target.kind === 'strip'
    ? new Stripped(target.segments)
    : new TargetTemplate(target.template, rules);
}

class Stripped implements TargetRewriting {
  readonly #segments: number;

  constructor(segments: number) {
    this.#segments = segments;
  }

  text({ facts: { path } }: TemplateSource): string {
    const mark = path.indexOf('?');
    return rooted(restAfter(path, this.#segments)) + (mark === -1 ? '' : path.slice(mark));
  }
}

const PREFIX_NAME = 'X-Forwarded-Prefix';

function namesPrefix(rules: FieldRules | null): boolean {
  if (rules === null) return false;
  const names = [...rules.set, ...rules.add].map(({ name }) => name);
  return [...names, ...rules.remove].some((name) => name.toLowerCase() === 'x-forwarded-prefix');
}

/** As Traefik has it: beside that of a trusted proxy, so that a backend which knows it makes links that lead back here. */
class PrefixRule {
  readonly #segments: number;

  constructor(segments: number) {
    this.#segments = segments;
  }

  added(path: string, changes: FieldChanges | null): FieldChanges | null {
    if (path === '*') return changes;
    const line = `${PREFIX_NAME}: ${prefixOf(path, this.#segments)}\r\n`;
    if (changes === null) return { dropped: null, lines: line };
    return { dropped: changes.dropped, lines: line + changes.lines };
  }
}
