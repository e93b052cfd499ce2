/** `fairlead print-config`: the config in force, secrets hidden, each value with where it comes from. */
import { Document, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml';
import { type EffectiveConfig, effectiveConfig } from '../config/effective/effective.ts';
import type { Settings } from '../config/settings.ts';
import { changesOf } from '../control/state/operator-state.ts';
import { describeOverride, type Override, overridesOf } from '../control/state/overrides.ts';
import { readStateFile } from '../control/state/state-file.ts';
import { type CommandSpec, HELP_FLAG } from './command-spec.ts';
import { EXIT_FINE } from './exit.ts';
import { withUsageErrors } from './tool-flags.ts';
import { withSettings } from './with-settings.ts';

export const PRINT_CONFIG = {
  name: 'print-config',
  usage: '[URL…] [--config FILE] [--json] [options]',
  about: `Prints the config that \`fairlead\` with the same arguments would run with, as YAML: every value, with where it comes
from; and what the state file lays over them. Secrets are shown as ***.`,
  flags: {
    json: { type: 'boolean', help: 'as JSON: { config, origins, overrides }' },
    ...HELP_FLAG,
  },
  takesSettings: true,
  examples: [
    'fairlead print-config --config fairlead.yaml',
    'fairlead print-config http://:3001 --strategy random-two --json',
  ],
} as const satisfies CommandSpec;

export function runPrintConfig(args: readonly string[]): Promise<number> {
  return withUsageErrors('print-config', () =>
    withSettings(args, PRINT_CONFIG, async (loaded, switches) => {
      const effective = effectiveConfig(loaded);
      const overrides = await keptOverrides(loaded.settings);
      process.stdout.write(
        switches.has('json')
          ? `${JSON.stringify({ ...effective, overrides }, null, 2)}\n`
          : asYaml(effective) + asComments(overrides),
      );
      return EXIT_FINE;
    }),
  );
}

/** What the state file lays over this config. A file that can't be read lays nothing over it. */
async function keptOverrides(settings: Settings): Promise<Override[]> {
  if (settings.stateFile === undefined) return [];
  const result = await readStateFile(settings.stateFile);
  return result.kind === 'read'
    ? settings.pools.flatMap((pool) => overridesOf(changesOf(result.state, pool.name), pool))
    : [];
}

function asComments(overrides: readonly Override[]): string {
  if (overrides.length === 0) return '';
  const lines = overrides.map((one) => `#   ${describeOverride(one)}`);
  return [
    '# Set through the admin API, which wins (fairlead reset drops that):',
    ...lines,
    '',
  ].join('\n');
}

/** Each value with a comment `# from file fairlead.config.yaml:3`, `# from environment FAIRLEAD_PORT` or `# default`. */
function asYaml({ config, origins }: EffectiveConfig): string {
  const document = new Document(config);
  annotate(document.contents, '', origins);
  return document.toString({ lineWidth: 0 });
}

function annotate(node: unknown, path: string, origins: EffectiveConfig['origins']): void {
  const below = (key: string): string => (path === '' ? key : `${path}.${key}`);
  if (isMap(node)) {
    for (const { key, value } of node.items as Pair[]) {
      annotate(value, below(String(isScalar(key) ? key.value : key)), origins);
    }
  } else if (isSeq(node) && node.items.length > 0) {
    for (const [index, item] of node.items.entries()) annotate(item, below(String(index)), origins);
  } else {
    // An empty list would push its comment onto a line of its own.
    if (isSeq(node)) node.flow = true;
    const origin = origins[path] ?? 'default';
    (node as Node).comment = origin === 'default' ? ' default' : ` from ${origin}`;
  }
}
