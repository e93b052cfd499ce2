/** The token that a config holds, for a call to an address that was given beside it: also of a config that nothing would run on. */
import { type LoadInput, loadSettings, writtenConfig } from '../../config/load.ts';
import { formatProblem } from '../../config/problem.ts';
import { isMapping } from '../../config/read/layer.ts';
import { fillInReferences } from '../../config/read/text-value.ts';
import { CONFIG_NODE } from '../../config/schema/schema.ts';

export interface TokenOfConfig {
  readonly token: string | undefined;
  /** The first thing that is wrong with the config, where it may be why there is no token. */
  readonly tokenUnread?: string;
}

/** What is wrong elsewhere in it is no reason to let an operator wait: the address is known, and the token may well be. */
export function tokenOfConfig(config: string, env: NodeJS.ProcessEnv, cwd: string): TokenOfConfig {
  const input: LoadInput = { flags: { values: [], config }, env, cwd, certificatesInUse: [] };
  const result = loadSettings(input);
  if (result.ok) return { token: result.settings.admin.token };
  const token = writtenToken(input);
  const [first] = result.problems.map(formatProblem);
  if (token !== undefined || first === undefined) return { token };
  return { token, tokenUnread: first };
}

function writtenToken(input: LoadInput): string | undefined {
  const config = writtenConfig(input);
  const admin = isMapping(config) ? config['admin'] : undefined;
  const written = isMapping(admin) ? admin['token'] : undefined;
  if (typeof written !== 'string') return undefined;
  let isFilled = true;
  const filled = fillInReferences({ admin: { token: written } }, CONFIG_NODE, input.env, () => {
    isFilled = false;
  }) as { readonly admin: { readonly token: unknown } };
  const { token } = filled.admin;
  return isFilled && typeof token === 'string' && token !== '' ? token : undefined;
}
