/** From zod's issues to problems: where each stands, what was found there, and the nearest right name. */
import type { z } from 'zod';
import { WITHHELD } from './problem.ts';
import {
  type Finding,
  formatPath,
  isMapping,
  type Layer,
  type Path,
  spoiltBy,
  valueAt,
} from './read/layer.ts';
import { alternatives, knownKeys, schemaBelow } from './read/text-value.ts';
import {
  CONFIG_NODE,
  type Config,
  type ConfigParser,
  type JsonSchemaNode,
} from './schema/schema.ts';
import { DURATION_PATTERN } from './values/duration.ts';
import { didYouMean, nearestName, type Synonyms } from './values/nearest.ts';

/** What others call it: nginx, HAProxy, Envoy, Traefik, Caddy. */
const KEY_SYNONYMS: Synonyms = new Map([
  ['upstream', ['backends', 'pool']],
  ['upstreams', ['backends']],
  ['server', ['backends']],
  ['servers', ['backends']],
  ['target', ['backends']],
  ['targets', ['backends']],
  ['endpoints', ['backends']],
  ['listen', ['port', 'host']],
  ['bind', ['port', 'host']],
  ['address', ['host', 'port']],
  ['tls', ['ssl']],
  ['https', ['ssl']],
  ['certificate', ['ssl', 'cert_file']],
  ['cert', ['ssl', 'cert_file']],
  ['private_key', ['ssl', 'key_file']],
  ['key', ['ssl', 'key_file']],
  ['balance', ['strategy']],
  ['algorithm', ['strategy']],
  ['lb_policy', ['strategy']],
  ['load_balancing', ['strategy']],
  ['workers', ['threads']],
  ['worker_processes', ['threads']],
  ['interval', ['health_check_frequency', 'frequency']],
  ['backend', ['pool']],
  ['service', ['pool']],
  ['cluster', ['pool']],
  ['services', ['pools']],
  ['clusters', ['pools']],
  ['rules', ['routes']],
  ['prefix', ['path']],
  ['domains', ['host']],
]);

/** So many are told in full; of the others only which keys they spoil. A wrong text of 1 MiB has a hundred thousand. */
export const MOST_DESCRIBED = 1_000;

export interface Validation {
  readonly findings: readonly Finding[];
  /** What the layer means by itself; undefined where something is wrong. */
  readonly config: Config | undefined;
}

/** Everything that is wrong with a layer by itself. Nothing is ever missing from a layer but inside a list. */
export function validateLayer(layer: Layer, schema: ConfigParser): Validation {
  const result = schema.safeParse(layer.value);
  const findings = new Map(unreadNames(layer).map((one) => [one.problem.path, one]));
  if (result.success) {
    return {
      findings: [...findings.values()],
      config: findings.size > 0 ? undefined : result.data,
    };
  }
  const spoilt = new Set<string>();
  for (const one of result.error.issues) {
    const isOneTooMany = findings.size >= MOST_DESCRIBED;
    const whole = one.path.slice(0, 1);
    const part = JSON.stringify(isOneTooMany ? whole : spoiltBy(one.path));
    if (isOneTooMany && spoilt.has(part)) continue;
    spoilt.add(part);
    for (const { spoils, problem } of settleUnion(one, []).flatMap((it) => describe(it, layer))) {
      // A number out of range and not whole breaks two rules with one message.
      const key = JSON.stringify([spoils, problem.path, problem.message, problem.excerpt]);
      findings.set(key, { spoils: isOneTooMany && whole.length > 0 ? whole : spoils, problem });
    }
  }
  return { findings: [...findings.values()], config: undefined };
}

/** The one name that zod passes over without a word where names are free. */
function unreadNames({ value, place }: Layer): Finding[] {
  const routes = Array.isArray(value['routes']) ? value['routes'] : [];
  const pools = isMapping(value['pools']) ? Object.keys(value['pools']) : [];
  const named: Path[] = [
    ['pools'],
    ['error_pages'],
    ['health_check_headers'],
    ['tracing', 'headers'],
    ...pools.map((name) => ['pools', name, 'health_check', 'headers']),
    ...routes.flatMap((_, index) => [
      ['routes', index, 'headers'],
      ['routes', index, 'query'],
      ...['request_headers', 'response_headers'].flatMap((key): Path[] => [
        ['routes', index, key, 'set'],
        ['routes', index, key, 'add'],
      ]),
      ['routes', index, 'respond', 'headers'],
      ['routes', index, 'error_pages'],
      ['routes', index, 'basic_auth', 'users'],
    ]),
  ];
  return named.flatMap((mapping) => {
    const path = [...mapping, '__proto__'];
    if (valueAt(value, path) === undefined) return [];
    const problem = { ...place(path, 'key'), path: formatPath(path), message: NO_NAME };
    return [{ spoils: spoiltBy(path), problem }];
  });
}

/**
 * A secret may stand where a key does: `token:geheim`, for want of a space, or pasted a line too low. What is not written as keys
 * are, or like none that there is, is told by its name to those alone who may read the config; the others learn its place.
 */
function withheld({ spoils, problem }: Finding, mapping: Path, key: string): Finding {
  const excerpt = isWrittenLikeKey(key) ? key : show(key);
  return { spoils, problem: { ...problem, path: formatPath([...mapping, WITHHELD]), excerpt } };
}

/** Of a line of text, behind the URL of a backend: what is no option becomes a key that ends so. */
export const LINE_HELP = 'a line is a URL, perhaps with weight=N and backup behind it';

/** Shorter is no secret. */
const LEAST_SECRET = 6;

/** A word of a key: `http2`, `5xx`. */
const WORD = String.raw`(?:[a-z]+\d?|\d[a-z]{1,3})`;
const WORDS = new RegExp(`^_*${WORD}(?:[._-]${WORD})*_*$`, 'i');

function mayBeSecret(key: string, hint: string | undefined): boolean {
  if (key.length < LEAST_SECRET || key.endsWith(LINE_HELP)) return false;
  return (
    !isWrittenLikeKey(key) || (hint === undefined && nearestName(key, allKeys()) === undefined)
  );
}

/** Words, as in all keys there are, here and elsewhere. */
function isWrittenLikeKey(key: string): boolean {
  return key.length <= 40 && WORDS.test(key);
}

let everyKey: ReadonlySet<string> | undefined;

/** Of all mappings: one that is right elsewhere is no secret. */
function allKeys(): ReadonlySet<string> {
  if (everyKey !== undefined) return everyKey;
  const keys = new Set<string>();
  const nodes: JsonSchemaNode[] = [CONFIG_NODE];
  for (const node of nodes) {
    for (const one of alternatives(node)) {
      for (const key of Object.keys(one.properties ?? {})) keys.add(key);
      const below = [...Object.values(one.properties ?? {}), one.items, one.additionalProperties];
      nodes.push(...below.filter((it) => typeof it === 'object'));
    }
  }
  everyKey = keys;
  return keys;
}

const NO_NAME = 'must not be a name here';

/** Of a value that may be several things: the issues of the one that it has the type of, else the union's own. */
function settleUnion(issue: z.core.$ZodIssue, base: Path): z.core.$ZodIssue[] {
  const path = [...base, ...issue.path];
  if (issue.code === 'invalid_union') {
    const branch = issue.errors.find((one) => !isOfOtherType(one));
    if (branch !== undefined) return branch.flatMap((one) => settleUnion(one, path));
  }
  return [{ ...issue, path }];
}

function isOfOtherType(branch: readonly z.core.$ZodIssue[]): boolean {
  return branch.some((one) => {
    if (one.path.length > 0) return false;
    if (one.code === 'invalid_union') return one.errors.every(isOfOtherType);
    return one.code === 'invalid_type' || one.code === 'invalid_value';
  });
}

function schemaAt(path: Path): JsonSchemaNode | undefined {
  return path.reduce<JsonSchemaNode | undefined>(schemaBelow, CONFIG_NODE);
}

function describe(issue: z.core.$ZodIssue, layer: Layer): Finding[] {
  const found = (
    at: Path,
    part: 'key' | 'value',
    message: string,
    hint: { readonly hint?: string } = {},
  ): Finding => ({
    spoils: spoiltBy(at),
    problem: { ...layer.place(at, part), path: formatPath(at), message, ...hint },
  });
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const nearest = didYouMean(key, knownKeys(schemaAt(issue.path)), KEY_SYNONYMS);
      const hint = nearest.hint === undefined && issue.path.length === 0 ? homeOf(key) : nearest;
      const one = found([...issue.path, key], 'key', 'unknown key', hint);
      return mayBeSecret(key, hint.hint) ? withheld(one, issue.path, key) : one;
    });
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map(({ message }) => found(issue.path, 'key', message));
  }
  const value = valueAt(layer.value, issue.path);
  if (value === undefined) return [found(issue.path, 'value', 'is missing')];
  if (issue.code === 'custom') {
    const hint: unknown = issue.params?.hint;
    return [found(issue.path, 'value', issue.message, typeof hint === 'string' ? { hint } : {})];
  }
  const schema = schemaAt(issue.path);
  const hint = hintFor(issue, value, schema);
  if (hint === NO_SPACE) {
    // A key and its value, which may be secret.
    const one = found(issue.path, 'value', issue.message, hint);
    return [{ ...one, problem: { ...one.problem, excerpt: show(value) } }];
  }
  const message =
    value === '' || schema?.writeOnly === true
      ? issue.message
      : `${issue.message}, not ${show(value)}`;
  return [found(issue.path, 'value', message, hint)];
}

/** A key that stands at the top and belongs below another: it is not indented. */
function homeOf(key: string): { readonly hint?: string } {
  const homes = knownKeys(CONFIG_NODE).filter((top) => knownKeys(schemaAt([top])).includes(key));
  if (homes.length === 0) return {};
  return { hint: `it belongs below ${homes.join(' or ')}, indented` };
}

const NO_SPACE = { hint: 'a space stands behind the colon of a key' };

function hintFor(
  issue: z.core.$ZodIssue,
  value: unknown,
  schema: JsonSchemaNode | undefined,
): { readonly hint?: string } {
  const isDuration = alternatives(schema).some(({ pattern }) => pattern === DURATION_PATTERN);
  if (typeof value === 'number' && isDuration) {
    return { hint: `add a unit: ${value}s or ${value}ms` };
  }
  const isMade = alternatives(schema).some(
    (one) => one.properties ?? one.items ?? one.additionalProperties,
  );
  if (value === null && isMade) return { hint: 'what belongs to it stands indented below it' };
  if (typeof value === 'string' && isMade && /^[a-z_]+:[^ /]/.test(value)) {
    return NO_SPACE;
  }
  if (issue.code === 'invalid_value' && typeof value === 'string') {
    return didYouMean(value, issue.values.map(String));
  }
  return {};
}

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
