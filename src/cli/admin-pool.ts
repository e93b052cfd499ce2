/** `fairlead strategy` and `fairlead reload`: what the running instance goes by. */
import {
  ADMIN_FLAGS,
  CHANGE_FLAGS,
  changePath,
  NOT_KEPT_HELP,
  noArguments,
  onlyArgument,
  runAdminCommand,
} from './admin-command.ts';
import { parseFlags } from './tool-flags.ts';

const STRATEGY_USAGE = `Usage: fairlead strategy [NAME] [options]

Changes the strategy of the running instance at once, or shows it.

${NOT_KEPT_HELP}`;

const RELOAD_USAGE = `Usage: fairlead reload [options]

Makes the running instance read its config again. A config with problems changes nothing, and all of them are shown.
`;

export function runStrategy(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, CHANGE_FLAGS);
  return runAdminCommand(
    'strategy',
    STRATEGY_USAGE,
    parse,
    async (client, { values, positionals }, show) => {
      const answer =
        positionals.length === 0
          ? await client.callForObject('GET', '/strategy')
          : await client.callForObject('PUT', changePath('/strategy', values), {
              strategy: onlyArgument(positionals, ''),
            });
      show(answer, `the strategy is ${String(answer['strategy'])}`);
    },
  );
}

export function runReload(args: readonly string[]): Promise<number> {
  const parse = () => parseFlags(args, ADMIN_FLAGS);
  return runAdminCommand('reload', RELOAD_USAGE, parse, async (client, { positionals }, show) => {
    noArguments(positionals);
    const answer = await client.callForObject('POST', '/reload');
    show(answer, answer['changed'] === true ? 'reloaded' : 'reloaded: no change');
  });
}
