/** What a route changes on the way: its templates read against its path. */
import type { FieldRules, NamedTemplate, Rewriting, TargetRule } from '../../snapshot/rewriting.ts';
import type { PathMatch, PathSegment } from '../../snapshot/route.ts';
import type { Path } from '../read/layer.ts';
import {
  isFault,
  resolveTemplate,
  type TemplateFault,
  type WrittenTemplate,
} from '../read/template-text.ts';
import type { WrittenFieldRules } from '../schema/rewriting-schema.ts';
import { pathOf } from '../values/path-text.ts';

export interface WrittenRewriting {
  readonly path: PathMatch;
  readonly strip_prefix?: readonly PathSegment[] | undefined;
  readonly rewrite?: WrittenTemplate | undefined;
  readonly request_headers?: WrittenFieldRules | undefined;
  readonly response_headers?: WrittenFieldRules | undefined;
}

/** @param report is told what is wrong, and under which key of the route. */
export type Report = (path: Path, fault: TemplateFault) => void;

const OF_REQUESTS = ['strip_prefix', 'rewrite', 'request_headers'] as const;

/** @param goesOn there is a pool that its requests go to. */
export function compileRewriting(
  route: WrittenRewriting,
  goesOn: boolean,
  report: Report,
): Rewriting | null {
  for (const key of goesOn ? [] : OF_REQUESTS) {
    if (route[key] === undefined) continue;
    report([key], { message: 'has no effect: requests of this route go to no pool' });
  }
  const target = targetOf(route, report);
  const fieldsOf = (key: 'request_headers' | 'response_headers'): FieldRules | null => {
    const rules = route[key];
    if (rules === undefined) return null;
    const resolved = (list: 'set' | 'add'): NamedTemplate[] =>
      rules[list].map(({ name, value }) => ({
        name,
        value: resolve(value, route.path, (fault) => report([key, list, name], fault)),
      }));
    return { set: resolved('set'), add: resolved('add'), remove: rules.remove };
  };
  const requestFields = fieldsOf('request_headers');
  const responseFields = fieldsOf('response_headers');
  if (target === null && requestFields === null && responseFields === null) return null;
  return { target, requestFields, responseFields };
}

function targetOf(
  { path, strip_prefix: prefix, rewrite }: WrittenRewriting,
  report: Report,
): TargetRule | null {
  if (prefix !== undefined && rewrite !== undefined) {
    report(['rewrite'], {
      message: 'can’t stand beside strip_prefix',
      hint: '${path.rest} is what is behind the path of the route',
    });
  }
  if (rewrite !== undefined) {
    const template = resolve(rewrite, path, (fault) => report(['rewrite'], fault));
    return { kind: 'template', template };
  }
  if (prefix === undefined) return null;
  const shown = pathOf({ kind: 'prefix', segments: prefix });
  if (!prefix.every((segment, index) => isSame(segment, path.segments[index]))) {
    report(['strip_prefix'], {
      message: `must be what the path of the route begins with, which is ${pathOf({ ...path, kind: 'prefix' })}`,
      hint: `write path: ${shown}/`,
    });
  }
  return { kind: 'strip', prefix: shown, segments: prefix.length };
}

function isSame(a: PathSegment, b: PathSegment | undefined): boolean {
  if (a.kind === 'name') return b?.kind === 'name' && b.name === a.name;
  return b?.kind === 'text' && b.text === a.text;
}

function resolve(
  written: WrittenTemplate,
  path: PathMatch,
  report: (fault: TemplateFault) => void,
): NamedTemplate['value'] {
  const template = resolveTemplate(written, path);
  if (!isFault(template)) return template;
  report(template);
  return [];
}
