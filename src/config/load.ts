/**
 * The way in: defaults < file < environment < flags become `Settings`, or a list of everything that is wrong. Run at
 * start and again at every reload; `validateConfigText` is the same with a text in the place of the file.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Certificate } from './certificates/certificate-facts.ts';
import type { FileFault } from './certificates/kept-certificates.ts';
import { isCode, runCode } from './code-file.ts';
import { compile } from './compile/compile.ts';
import { configOf, type Origins, pathsOf, type ValueSource } from './effective/effective.ts';
import { MOST_DESCRIBED } from './issues.ts';
import { type MergedConfig, mergeLayers } from './merge.ts';
import { formatPlace, type Problem } from './problem.ts';
import { type ConfigFileResult, readConfigFile } from './read/config-file.ts';
import { documentOfData } from './read/data-document.ts';
import { type DocumentResult, parseConfigDocument } from './read/document.ts';
import { readEnvironment } from './read/environment.ts';
import {
  type Finding,
  formatPath,
  type Layer,
  layerOfNamedValues,
  type NamedValue,
  type Path,
  spoiltBy,
} from './read/layer.ts';
import { type Environment, fillInReferences, schemaBelow, valueOfText } from './read/text-value.ts';
import { embeddedSchema } from './schema/embedded-schema.ts';
import { CONFIG_NODE, configSchema, type JsonSchemaNode } from './schema/schema.ts';
import type { Settings } from './settings.ts';
import { isInCluster, type SharedConfig, withoutShared } from './shared-config.ts';

export interface Flags {
  /** `--config`; false: `--no-config`. */
  readonly config?: string | false;
  /** Every other flag that was given. A string stands for what the schema makes of it; anything else is the value. */
  readonly values: readonly NamedValue[];
}

export interface LoadInput {
  readonly flags: Flags;
  readonly env: Environment;
  /** What the config file and relative paths in variables and flags are looked up from. */
  readonly cwd: string;
  /** To run with it: what is broken in a folder of certificates costs no more than these, or none, can make up for: see `Reading`. */
  readonly certificatesInUse?: readonly Certificate[];
  /** In a cluster: the pools and routes that hold in the place of those of the sources. Undefined: those hold, as for a look at them. */
  readonly shared?: SharedConfig;
  /** In the place of a config file: what the program has made that Fairlead is a part of. */
  readonly given?: { readonly data: unknown };
}

/** What was read of the config file, in short: its text, or why it can't be read. Two loads of the same text say the same. */
export type SourceMark = string;

export type LoadResult =
  | {
      readonly ok: true;
      readonly settings: Settings;
      readonly origins: Origins;
      /** For the start-up log: nothing is wrong, but somebody may want to know. */
      readonly notes: readonly string[];
      /** Broken files in folders of certificates, where that is no problem. */
      readonly faults?: readonly FileFault[];
      readonly source?: SourceMark;
      /** In a cluster: what the same sources say, as they were read, with other pools and routes. */
      readonly withShared?: (
        shared: SharedConfig,
        certificatesInUse: readonly Certificate[],
      ) => LoadResult;
      /** Of the config file, if there is one. */
      readonly text?: string | undefined;
      /** What may be told of it, where that is not all; null: which keys differ. */
      readonly disclosed?: Extract<LoadResult, { ok: true }> | null;
    }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly source?: SourceMark };

interface ConfigText {
  readonly text: string | undefined;
  /** What code has made: that is the config, and not the text. */
  readonly made?: { readonly data: unknown };
  /** Its name in messages; `.json` at its end makes it strict JSON. */
  readonly shown: string | undefined;
  /** The file to name in `Settings`. */
  readonly absolute: string | undefined;
  /** What relative paths in it are relative to. */
  readonly folder: string;
  readonly edit?: Edit | undefined;
}

export function loadSettings(input: LoadInput): LoadResult {
  const { given, cwd } = input;
  if (given !== undefined) {
    return load(
      { text: undefined, made: given, shown: undefined, absolute: undefined, folder: cwd },
      input,
      [],
      '',
    );
  }
  const result = readFile(input);
  const source = markOf(result);
  if (!result.ok) return { ...result, source };
  const { file, notes } = result;
  if (file === undefined) return load(undefined, input, notes, source);
  const text = { ...file, folder: path.dirname(file.absolute) };
  if (!isCode(file.absolute)) return load(text, input, notes, source);
  const made = runCode(file.absolute, file.shown);
  if (!made.ok) return { ok: false, problems: readable(made.problems), source };
  return load({ ...text, made }, input, notes, source);
}

/** What `loadSettings` would read now, and whether it could. */
export function lookAtSource(input: LoadInput): {
  readonly source: SourceMark;
  readonly isReadable: boolean;
  readonly text: string | undefined;
} {
  const result = readFile(input);
  const text = result.ok ? result.file?.text : undefined;
  return { source: markOf(result), isReadable: result.ok, text };
}

/** Whether a text is the beginning of the one in force: it may still be on its way. Blanks at the end are no loss. */
export function looksCutOff(text: string | undefined, inForce: string | undefined): boolean {
  if (text === undefined || inForce === undefined || !inForce.startsWith(text)) return false;
  return inForce.slice(text.length).trim() !== '';
}

function readFile({ flags: { config, values }, env, cwd }: LoadInput): ConfigFileResult {
  const hasBackends = values.some((value) => value.path[0] === 'backends');
  return readConfigFile({ ...(config !== undefined && { config }), hasBackends }, env, cwd);
}

function markOf(result: ConfigFileResult): SourceMark {
  if (!result.ok) return result.problems.map(({ message }) => message).join('\n');
  if (result.file === undefined) return '';
  const { absolute, text } = result.file;
  return `${absolute} ${createHash('sha256').update(text).digest('base64')}`;
}

/** What the config file holds now, as it is written; undefined where there is none that can be read, or where it is made by code. */
export function valueOfFile(input: LoadInput): unknown {
  if (input.given !== undefined) return input.given.data;
  const result = readFile(input);
  if (!result.ok || result.file === undefined || isCode(result.file.absolute)) return undefined;
  const parsed = parseConfigDocument(result.file.text, result.file.shown);
  return parsed.ok ? parsed.document.value : undefined;
}

/** The same, also where it is made by code. */
export function writtenConfig(input: LoadInput): unknown {
  const result = input.given === undefined ? readFile(input) : undefined;
  if (result?.ok !== true || result.file === undefined || !isCode(result.file.absolute)) {
    return valueOfFile(input);
  }
  const made = runCode(result.file.absolute, result.file.shown);
  return made.ok ? made.data : undefined;
}

type Edit = (value: unknown) => unknown;

/**
 * What `loadSettings` would say if the config file held this text. `fileName` is its name in messages, and `.json` at
 * its end asks for strict JSON. `configFile` is the file that it would replace, if there is one.
 * `edit` is done to what is written there before anything is filled in.
 */
export function validateConfigText(
  text: string,
  fileName: string,
  input: LoadInput & { readonly configFile?: string | undefined; readonly edit?: Edit },
): LoadResult {
  const absolute = input.configFile;
  const folder = absolute === undefined ? input.cwd : path.dirname(absolute);
  return load({ text, shown: fileName, absolute, folder, edit: input.edit }, input, [], '');
}

function load(
  file: ConfigText | undefined,
  input: LoadInput,
  fileNotes: readonly string[],
  source: SourceMark,
): LoadResult {
  const read = readLayers(file, input);
  if (!read.ok) return { ...read, source };
  const { merged, readingNotes } = read;
  const compiled = compile(merged, {
    configFile: file?.absolute,
    configFolder: file?.folder ?? input.cwd,
    cwd: input.cwd,
    certificatesInUse: input.certificatesInUse,
  });
  if (!compiled.ok) return { ok: false, problems: readable(compiled.problems), source };
  const { settings, faults } = compiled;
  let origins: Origins | undefined;
  return {
    ok: true,
    settings,
    // Of many pools they take longer than all the rest, and their places more memory, and only few ask for them: so the text is
    // read once more then.
    get origins() {
      origins ??= originsOf(settings, file, input);
      return origins;
    },
    notes: fewNotes([...fileNotes, ...readingNotes, ...compiled.notes]),
    faults,
    source,
    ...(settings.cluster !== null && {
      withShared: (shared, certificatesInUse) =>
        load(file, { ...input, shared, certificatesInUse }, [], source),
    }),
    text: file?.text,
  };
}

type LayersRead =
  | {
      readonly ok: true;
      readonly merged: MergedConfig;
      readonly readingNotes: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

function readLayers(file: ConfigText | undefined, input: LoadInput): LayersRead {
  const findings: Finding[] = [];
  const layers: Layer[] = [];
  if (file !== undefined) {
    const parsed = documentOf(file);
    // Without the file, judging the rest would only find what the file may well have settled.
    if (!parsed.ok) return { ok: false, problems: readable(parsed.problems) };
    const { place } = parsed.document;
    const value = file.edit?.(parsed.document.value) ?? parsed.document.value;
    const spoilt = new Set<string>();
    const filled = fillInReferences(value, CONFIG_NODE, input.env, (at, message, hint) => {
      const isOneTooMany = findings.length >= MOST_DESCRIBED;
      const spoils = isOneTooMany ? at.slice(0, 1) : spoiltBy(at);
      const part = JSON.stringify(spoils);
      if (isOneTooMany && spoilt.has(part)) return;
      spoilt.add(part);
      const more = hint === undefined ? {} : { hint };
      const problem = { ...place(at, 'value'), path: formatPath(at), message, ...more };
      findings.push({ spoils, problem });
    });
    layers.push({ origin: 'file', value: filled as Layer['value'], place });
  }
  const environment = readEnvironment(input.env);
  layers.push(layerOfNamedValues('environment', withoutPutOff(environment.values, layers)));
  const flags = input.flags.values.flatMap((flag) => readFlag(flag, findings));
  layers.push(layerOfNamedValues('flag', flags));

  const schema = input.given === undefined ? configSchema : embeddedSchema;
  const notes = [...environment.notes];
  const used = isInCluster(layers) ? inCluster(layers, input, findings, notes) : layers;
  const merged = mergeLayers(used, [...findings, ...environment.findings], schema);
  return { ok: true, merged, readingNotes: notes };
}

/** What the instance says of pools and routes gives way to what is shared, where that is known. */
function inCluster(
  layers: readonly Layer[],
  { shared, env }: LoadInput,
  findings: Finding[],
  notes: string[],
): readonly Layer[] {
  const stripped = layers.map(withoutShared);
  const left = stripped.flatMap(({ left: keys }) => keys);
  if (left.length > 0) notes.push(noteOnLeft([...new Set(left)]));
  if (shared === undefined) return layers;
  const value = fillInReferences(shared.value, CONFIG_NODE, env, (at, message, hint) => {
    const more = hint === undefined ? {} : { hint };
    const problem = { ...shared.place(at, 'value'), path: formatPath(at), message, ...more };
    findings.push({ spoils: spoiltBy(at), problem });
  });
  const { place } = shared;
  const [first, ...others] = stripped.map(({ layer }) => layer);
  const store: Layer = { origin: 'store', value: value as Layer['value'], place };
  return first === undefined ? [store] : [first, store, ...others];
}

function noteOnLeft(keys: readonly string[]): string {
  const shown =
    keys.slice(0, 5).join(', ') + (keys.length > 5 ? ` and ${keys.length - 5} more` : '');
  return `${shown}: not used, since pools and routes are those of the cluster (fairlead cluster init and import write them)`;
}

function documentOf({ text = '', made, shown }: ConfigText): DocumentResult {
  return made === undefined
    ? parseConfigDocument(text, shown ?? '')
    : documentOfData(made.data, shown);
}

/** The variable of the token is that of clients, too: it does not bring back an admin API that a file has put off. */
function withoutPutOff(
  values: readonly NamedValue[],
  below: readonly Layer[],
): readonly NamedValue[] {
  if (!below.some(({ value }) => value['admin'] === false)) return values;
  return values.filter(({ path: keys }) => keys.join('.') !== 'admin.token');
}

function readFlag(flag: NamedValue, findings: Finding[]): NamedValue[] {
  if (typeof flag.value !== 'string') return [flag];
  const schema = flag.path.reduce<JsonSchemaNode | undefined>(schemaBelow, CONFIG_NODE);
  const result = valueOfText(flag.value, schema);
  if (result.ok) return [{ ...flag, value: result.value }];
  const { name, path: keys } = flag;
  const problem = {
    origin: 'flag',
    name,
    path: formatPath(keys),
    message: result.message,
  } as const;
  findings.push({ spoils: spoiltBy(keys), problem });
  return [];
}

function originsOf(settings: Settings, file: ConfigText | undefined, input: LoadInput): Origins {
  const origins = new Map<string, ValueSource>();
  const read = readLayers(file, input);
  if (!read.ok) return origins;
  const { merged } = read;
  for (const key of pathsOf(configOf(settings))) {
    const place = merged.placeOf(pathOfKey(key, merged), 'key');
    const detail = place.origin === 'default' ? '' : formatPlace(place);
    origins.set(key, { origin: place.origin, detail });
  }
  return origins;
}

function pathOfKey(key: string, { isGiven }: MergedConfig): Path {
  const parts = key.split('.');
  const isOfPools = parts[0] === 'pools';
  // An index is a number in a path, so that it is found in a list. A pool may be called like one.
  let keys: Path = parts.map((part, depth) =>
    /^\d+$/.test(part) && !(isOfPools && depth === 1) ? Number(part) : part,
  );
  // A route is as it is written, but for the spelling of names, and these may have dots: then what is around it says where.
  if (parts[0] === 'routes') while (keys.length > 1 && !isGiven(keys)) keys = keys.slice(0, -1);
  return keys;
}

/** Nobody mends more at a time, and a wrong text of 1 MiB must not be answered with ten. */
const MOST_PROBLEMS = 100;
const LONGEST_TEXT = 500;

function readable(problems: readonly Problem[]): Problem[] {
  const ordered = inReadingOrder(problems);
  const shown = ordered.slice(0, MOST_PROBLEMS).map((problem) => ({
    ...problem,
    path: clip(problem.path),
    message: clip(problem.message),
  }));
  const [first] = ordered;
  if (first === undefined || ordered.length <= MOST_PROBLEMS) return shown;
  const { origin, file, name } = first;
  const place = {
    origin,
    ...(file !== undefined && { file }),
    ...(name !== undefined && { name }),
  };
  const atLeast = ordered.length < MOST_DESCRIBED ? '' : ' at least';
  const message = `${ordered.length - MOST_PROBLEMS} problems more${atLeast}`;
  return [...shown, { ...place, path: '', message }];
}

/** They are logged line by line and stand in answers, and a text may have a thousand pools with several each. */
const MOST_NOTES = 100;

function fewNotes(notes: readonly string[]): string[] {
  const shown = notes.slice(0, MOST_NOTES).map(clip);
  return notes.length <= MOST_NOTES ? shown : [...shown, `${notes.length - MOST_NOTES} notes more`];
}

function clip(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

const ORIGIN_ORDER: readonly Problem['origin'][] = [
  'file',
  'store',
  'environment',
  'flag',
  'default',
];

/** The file from top to bottom, then the environment, then the flags. */
function inReadingOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted(
    (a, b) =>
      ORIGIN_ORDER.indexOf(a.origin) - ORIGIN_ORDER.indexOf(b.origin) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  );
}
