/**
 * The backends that a word on the command line may be, for the completions of shells: asked of the running instance that the
 * words before it lead to. Whoever has pressed Tab gets nothing rather than an error, and does not wait for long.
 */
import { AdminClient } from '../admin/admin-client.ts';
import { type AdminFlags, adminTarget } from '../admin/admin-command.ts';
import { folderOf, listPools, type ShownBackend } from '../admin/admin-pools.ts';
import type { Commands } from '../command-spec.ts';
import { parseFlags } from '../tool-flags.ts';

const ANSWER_MS = 1_000;
/** More than that nobody reads. */
const MOST = 200;

type Target = AdminFlags & { readonly pool?: string };

/**
 * A line for each: its id, a tab, and what it is.
 * @param words of the command line, from the command's name on, up to the one that is to be completed
 */
export async function backendLines(words: readonly string[], commands: Commands): Promise<string> {
  try {
    const target = await targetOf(words, commands);
    if (target === undefined) return '';
    const client = new AdminClient(adminTarget(target, process.env, process.cwd()), ANSWER_MS);
    return (await within(ANSWER_MS, list(client, target.pool))).join('');
  } catch {
    return '';
  }
}

/** Undefined: no backend goes there. */
async function targetOf(
  [name = '', ...words]: readonly string[],
  commands: Commands,
): Promise<Target | undefined> {
  if (!Object.hasOwn(commands, name)) return undefined;
  const { spec } = await (commands[name] as Commands[string]).load();
  if (spec.takesBackend !== true) return undefined;
  const { values, positionals } = parseFlags(words, spec.flags);
  return positionals.length === 0 ? (values as Target) : undefined;
}

async function list(client: AdminClient, pool: string | undefined): Promise<string[]> {
  const names = pool === undefined ? (await listPools(client)).map(({ name }) => name) : [pool];
  const lines: string[] = [];
  for (const name of names) {
    if (lines.length >= MOST) break;
    const path = `${folderOf(name)}/backends`;
    const backends = (await client.call('GET', path)) as readonly ShownBackend[];
    const of = names.length === 1 ? '' : ` of ${name}`;
    lines.push(...backends.map(({ id, url, state }) => `${id}\t${url}${of}, ${state}\n`));
  }
  return lines.slice(0, MOST);
}

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  return Promise.race([
    work,
    new Promise<never>((_resolve, reject) => {
      setTimeout(reject, ms, new Error('too late')).unref();
    }),
  ]);
}
