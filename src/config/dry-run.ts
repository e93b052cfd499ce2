/**
 * A config that somebody has sent, as the file would be read. References are filled in from the environment of this process, and who
 * may ask what a config would change need not see what that holds: so all that is told is made of the text with its references as they
 * are written, and what they stand for decides only whether it is sound, and which keys differ. A reference that the config file has at
 * the same place is filled in, since it is shown, or hidden, as what is in force.
 */
import { setImmediate } from 'node:timers/promises';
import { type LoadInput, type LoadResult, validateConfigText, valueOfFile } from './load.ts';
import type { Problem } from './problem.ts';
import { isMapping, type Path, valueAt } from './read/layer.ts';
import { isOfRequest, TEMPLATE_FORMAT } from './read/template-text.ts';
import { alternatives, schemaBelow } from './read/text-value.ts';
import { CONFIG_NODE, type JsonSchemaNode } from './schema/schema.ts';

const NOTE =
  'what the environment holds is not shown, but where the config file has the same reference at the same place';
const NOT_TOLD = 'is wrong with what the environment holds for its references, which is not shown';
const HINT = '"fairlead check" tells it, with that environment';

export async function dryRun(
  text: string,
  fileName: string,
  input: LoadInput & { readonly configFile?: string | undefined },
): Promise<LoadResult> {
  const filled = validateConfigText(text, fileName, input);
  if (!mayTell(text, input)) return filled;
  // Each reading takes its time.
  await setImmediate();
  const inUse = valueOfFile(input);
  let isAnyLeft = false;
  const edit = (value: unknown): unknown =>
    withoutReferences(value, CONFIG_NODE, (path, whole, name) => {
      const isLeft = input.env[name] !== undefined && valueAt(inUse, path) !== whole;
      isAnyLeft ||= isLeft;
      return isLeft;
    });
  const written = validateConfigText(text, fileName, { ...input, edit });
  if (!isAnyLeft) return filled;
  if (!filled.ok) return { ok: false, problems: tellable(filled.problems, written) };
  return {
    ok: true,
    settings: filled.settings,
    get origins() {
      return filled.origins;
    },
    notes: [...(written.ok ? written.notes : []), NOTE],
    faults: written.ok ? (written.faults ?? []) : [],
    disclosed: written.ok ? written : null,
  };
}

/** Whether it may hold a reference that the environment has something for: with escapes, anything may be written. */
function mayTell(text: string, { env }: LoadInput): boolean {
  if (text.includes('\\')) return true;
  for (const [, name = ''] of text.matchAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)/g)) {
    if (env[name] !== undefined) return true;
  }
  return false;
}

/** Those that are there without the environment, too; of the others, whose paths it may have made as well, only where they are. */
function tellable(problems: readonly Problem[], written: LoadResult): Problem[] {
  const known = new Set(written.ok ? [] : written.problems.map((one) => JSON.stringify(one)));
  return problems.map((problem) => {
    if (known.has(JSON.stringify(problem))) return problem;
    const { hint: _hint, excerpt: _excerpt, ...place } = problem;
    const [path = ''] = problem.path.split('.', 1);
    return { ...place, path, message: NOT_TOLD, hint: HINT };
  });
}

type IsLeft = (path: Path, whole: string, name: string) => boolean;

const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}/g;

/** With `$${NAME}`, which is read as a plain `${NAME}`, for those that are left as they are. */
function withoutReferences(
  value: unknown,
  node: JsonSchemaNode | undefined,
  isLeft: IsLeft,
  path: Path = [],
): unknown {
  const below = (item: unknown, key: string | number): unknown =>
    withoutReferences(item, schemaBelow(node, key), isLeft, [...path, key]);
  if (Array.isArray(value)) return value.map(below);
  if (isMapping(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, below(item, key)]));
  }
  if (typeof value !== 'string' || !value.includes('${')) return value;
  const isTemplate = alternatives(node).some(({ format }) => format === TEMPLATE_FORMAT);
  return value.replaceAll(REFERENCE, (reference: string, name?: string) => {
    if (name === undefined || (isTemplate && isOfRequest(name))) return reference;
    return isLeft(path, value, name) ? `$${reference}` : reference;
  });
}
