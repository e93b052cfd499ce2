/**
 * The flags that set something, the same for `fairlead`, `fairlead check` and `fairlead print-config`: so that a command
 * line can be checked before it is run.
 */
import { parseArgs } from 'node:util';
import type { Flags } from '../config/load.ts';
import type { NamedValue } from '../config/read/layer.ts';
import { didYouMean } from '../config/values/nearest.ts';
import { STRATEGY_NAMES } from '../snapshot/snapshot.ts';
import { FLAG_SYNONYMS, UsageError } from './tool-flags.ts';

interface SettingFlag {
  /** What stands for its value in the help; undefined: it has none. */
  readonly value?: string;
  /** With `=` only: `--access-log` and `--access-log=FILE` are both right. */
  readonly isValueOptional?: boolean;
  /** Path in the config, and what the flag sets it to when it carries no value. */
  readonly sets: readonly { readonly path: readonly string[]; readonly to?: unknown }[];
  readonly help: string;
  /** Its values, where they can be listed. */
  readonly values?: readonly string[];
}

/** In the order of the help. */
export const SETTING_FLAGS: Readonly<Record<string, SettingFlag>> = {
  config: {
    value: 'FILE',
    sets: [],
    help: 'the config file (default: FAIRLEAD_CONFIG, then fairlead.config.{ts,mts,js,mjs,json,yaml,yml} or config.json here)',
  },
  'no-config': { sets: [], help: 'no config file, whatever lies here' },
  port: { value: 'PORT', sets: [{ path: ['port'] }], help: 'where clients connect (8080)' },
  host: { value: 'ADDRESS', sets: [{ path: ['host'] }], help: 'on which address (all)' },
  'admin-port': {
    value: 'PORT',
    sets: [{ path: ['admin_port'] }],
    help: 'where the admin API listens, on 127.0.0.1 (9000)',
  },
  admin: {
    value: 'off',
    values: ['off'],
    sets: [{ path: ['admin'], to: false }],
    help: 'no admin API',
  },
  strategy: {
    value: 'NAME',
    values: STRATEGY_NAMES,
    sets: [{ path: ['strategy'] }],
    help: `${STRATEGY_NAMES.slice(0, -1).join(', ')} or ${STRATEGY_NAMES.at(-1)} (round-robin)`,
  },
  threads: {
    value: 'N|auto',
    values: ['auto'],
    sets: [{ path: ['threads'] }],
    help: 'data threads (auto)',
  },
  'health-check-method': {
    value: 'METHOD',
    values: ['http', 'tcp', 'auto'],
    sets: [{ path: ['health_check_method'] }],
    help: 'http, tcp or auto (auto; http with a path)',
  },
  'health-check-path': {
    value: 'PATH',
    sets: [{ path: ['health_check_path'] }],
    help: 'what http checks GET (/health)',
  },
  'health-check-frequency': {
    value: 'TIME',
    sets: [{ path: ['health_check_frequency'] }],
    help: 'time between two checks: 500ms, 30s, 1m30s (30s)',
  },
  'health-check-down-frequency': {
    value: 'TIME',
    sets: [{ path: ['health_check_down_frequency'] }],
    help: 'the same of a backend that is down (1s)',
  },
  'access-log': {
    value: 'FILE',
    isValueOptional: true,
    sets: [{ path: ['access_log'], to: true }],
    help: 'a line per request, to standard output or to a file (on)',
  },
  'no-access-log': { sets: [{ path: ['access_log'], to: false }], help: 'no line per request' },
  'log-level': {
    value: 'LEVEL',
    values: ['debug', 'info', 'warn', 'error'],
    sets: [{ path: ['log_level'] }],
    help: 'debug, info, warn or error (info)',
  },
  'no-watch': {
    sets: [{ path: ['watch'], to: false }],
    help: 'do not reload when the config file has changed',
  },
  'ssl-cert': {
    value: 'FILE',
    sets: [{ path: ['ssl', 'cert_file'] }, { path: ['ssl', 'enabled'], to: true }],
    help: 'speak TLS to clients, with this certificate (PEM)',
  },
  'ssl-key': {
    value: 'FILE',
    sets: [{ path: ['ssl', 'key_file'] }, { path: ['ssl', 'enabled'], to: true }],
    help: 'and this key (PEM)',
  },
};

export interface SettingArguments {
  readonly flags: Flags;
  /** Which of the command's own switches were given. */
  readonly switches: ReadonlySet<string>;
  /** The values of its own flags. */
  readonly own: ReadonlyMap<string, string>;
}

/** Those that only one command has. */
type OwnFlags = Readonly<
  Record<string, Pick<SettingFlag, 'value' | 'isValueOptional'> & { readonly short?: string }>
>;

/** @param ownFlags that only this command has. Throws `UsageError`. */
export function parseSettingFlags(
  args: readonly string[],
  ownFlags: OwnFlags = {},
): SettingArguments {
  const own = Object.keys(ownFlags);
  const ownValues = new Map<string, string>();
  const values: NamedValue[] = [];
  const urls: string[] = [];
  const switches = new Set<string>();
  let config: string | false | undefined;
  for (const token of tokensOf(args, ownFlags)) {
    if (token.kind === 'positional') {
      urls.push(backendArgument(token.value));
      continue;
    }
    if (token.kind !== 'option') continue;
    const { name, rawName } = token;
    const flag = own.includes(name) ? undefined : flagNamed(rawName, own);
    if (flag === undefined) {
      const text = checkedValue(rawName, { sets: [], help: '', ...ownFlags[name] }, token);
      if (text === undefined) switches.add(name);
      else ownValues.set(name, text);
    } else if (name === 'config' || name === 'no-config') {
      const file = checkedValue(rawName, flag, token) ?? false;
      if (config !== undefined) throw new UsageError(secondConfig(config, file));
      config = file;
    } else {
      const text = checkedValue(rawName, flag, token);
      if (name === 'admin' && text !== 'off') {
        throw new UsageError(
          `${rawName} takes off; where the admin API listens, --admin-port says`,
        );
      }
      for (const { path, to } of flag.sets) {
        const isOwnValue =
          to === undefined || (flag.isValueOptional === true && text !== undefined);
        values.push({ name: rawName, path, value: isOwnValue ? text : to });
      }
    }
  }
  if (urls.length > 0) values.push({ name: 'command line', path: ['backends'], value: urls });
  return {
    flags: { ...(config === undefined ? {} : { config }), values },
    switches,
    own: ownValues,
  };
}

function secondConfig(first: string | false, second: string | false): string {
  if (first === false && second === false) return '--no-config is given twice';
  if (first === false || second === false) return '--config and --no-config contradict each other';
  return `--config is given twice (${first}, ${second}); a config is one file`;
}

interface Token {
  readonly kind: string;
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function tokensOf(args: readonly string[], ownFlags: OwnFlags) {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {};
  const all: OwnFlags = { ...SETTING_FLAGS, ...ownFlags };
  for (const [name, { value, isValueOptional, short }] of Object.entries(all)) {
    const hasValue = value !== undefined && isValueOptional !== true;
    options[name] = {
      type: hasValue ? 'string' : 'boolean',
      ...(short !== undefined && { short }),
    };
  }
  const { tokens } = parseArgs({
    args: [...args],
    options,
    // What is wrong is said here, with the nearest right name.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  return tokens;
}

/** Flags by which other programs are given their backends. */
const BACKEND_FLAGS: ReadonlySet<string> = new Set([
  'to',
  'backend',
  'backends',
  'upstream',
  'upstreams',
  'target',
  'targets',
  'server',
  'servers',
  'url',
]);

const DASHED_SYNONYMS = new Map(
  [...FLAG_SYNONYMS].map(([word, names]) => [word, names.map((name) => `--${name}`)]),
);

function flagNamed(rawName: string, own: readonly string[]): SettingFlag {
  const name = rawName.replace(/^--/, '');
  const flag = SETTING_FLAGS[name];
  if (flag !== undefined && Object.hasOwn(SETTING_FLAGS, name)) return flag;
  const plain = name.replace(/^-/, '');
  const known = [...Object.keys(SETTING_FLAGS), ...own].map((one) => `--${one}`);
  const hint = BACKEND_FLAGS.has(plain)
    ? 'backends need no flag: fairlead http://:3001'
    : didYouMean(plain, known, DASHED_SYNONYMS).hint;
  throw new UsageError(`unknown flag ${rawName}${hint === undefined ? '' : ` (${hint})`}`);
}

function checkedValue(
  rawName: string,
  flag: SettingFlag,
  { value, inlineValue }: Pick<Token, 'value' | 'inlineValue'>,
): string | undefined {
  if (flag.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    return undefined;
  }
  if (value === undefined && flag.isValueOptional === true) return undefined;
  if (value === undefined || value === '' || (inlineValue !== true && value.startsWith('-'))) {
    throw new UsageError(`${rawName} needs a value: ${rawName} ${flag.value}`);
  }
  return value;
}

/** A bare word is more likely a slip than a backend. What is wrong with a URL is said by the config. */
function backendArgument(text: string): string {
  if (/\.(json|ya?ml)$/i.test(text)) {
    throw new UsageError(`${text} is not a backend URL (for a config file: --config ${text})`);
  }
  if (/^\d+$/.test(text)) {
    throw new UsageError(
      `"${text}" is not a backend URL (a backend on that port is http://:${text}; to listen on it: --port ${text})`,
    );
  }
  if (!/[:/.]/.test(text)) {
    throw new UsageError(`"${text}" is neither a command nor a backend URL; a command comes first`);
  }
  return text;
}

/**
 * One line per flag, for the help.
 * @param own flags of a command that mean something else there.
 */
export function describeSettingFlags(own: Readonly<Record<string, unknown>> = {}): string {
  const flags = Object.entries(SETTING_FLAGS).filter(([name]) => !Object.hasOwn(own, name));
  const lines = flags.map(([name, { value, isValueOptional, help }]) => {
    const shown = value === undefined ? '' : isValueOptional === true ? `[=${value}]` : ` ${value}`;
    return `  ${`--${name}${shown}`.padEnd(31)} ${help}`;
  });
  return `${lines.join('\n')}\n`;
}
