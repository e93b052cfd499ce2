/** The admin API of a merged configuration. */
import { type AdminToken } from './admin-token.ts';
import { readTokensFile } from './admin-tokens.ts';
import type { Resolve } from './compile-tls.ts';
import type { MergedConfig } from './merge.ts';
import { isLoopback } from './network-address.ts';
import type { Problem } from './problem.ts';
import type { AdminSettings } from './settings.ts';

interface Reading {
  readonly resolve: Resolve;
  readonly problems: Problem[];
  readonly notes: string[];
}

/** Reads the file of tokens. */
export function compileAdmin(merged: MergedConfig, reading: Reading): AdminSettings {
  const { config, placeOf, isSound } = merged;
  const { host, token, rate_limit: rates } = config.admin;
  const tokens = isSound('admin') ? tokensOf(merged, reading) : null;
  if (isSound('admin') && token === undefined && tokens === null && !isLoopback(host)) {
    reading.problems.push({
      ...placeOf(['admin', 'host']),
      path: 'admin.host',
      message: `${host} is not a loopback address, so the admin API needs a token`,
      hint: 'set admin.tokens_file, admin.token or FAIRLEAD_ADMIN_TOKEN',
    });
  }
  return { host, port: config.admin_port, token, tokens, rates: rates === false ? null : rates };
}

function tokensOf({ config, placeOf }: MergedConfig, reading: Reading): AdminSettings['tokens'] {
  const { tokens_file: written } = config.admin;
  if (written === undefined) return null;
  const keys = ['admin', 'tokens_file'];
  const file = reading.resolve(written, keys);
  const read = readTokensFile(file);
  const path = keys.join('.');
  for (const { line, message, hint } of read.faults) {
    reading.problems.push({
      ...(line === undefined ? placeOf(keys) : { origin: 'file', file, line }),
      path,
      message,
      ...(hint !== undefined && { hint }),
    });
  }
  reading.notes.push(...read.notes);
  return { file, tokens: sorted(read.tokens) };
}

/** The order in the file means nothing. */
function sorted(tokens: readonly AdminToken[]): readonly AdminToken[] {
  return tokens.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
