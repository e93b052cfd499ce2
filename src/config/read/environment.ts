/**
 * The environment as a layer: `FAIRLEAD_<KEY>` for every top-level key, and the names that containers have always used.
 * A variable that is set but empty counts as not set, as compose files set them. A mistyped FAIRLEAD_ name is an error.
 */

import { CONFIG_NODE, type JsonSchemaNode, TOP_LEVEL_KEYS } from '../schema/schema.ts';
import { didYouMean, editDistance } from '../values/nearest.ts';
import { type Finding, type NamedValue, type Path, spoiltBy } from './layer.ts';
import { type Environment, schemaBelow, valueOfText } from './text-value.ts';

const PREFIX = 'FAIRLEAD_';

/** Names the config file; read by config-file.ts. */
export const CONFIG_FILE_VARIABLE = 'FAIRLEAD_CONFIG';

/** Where the clients of the admin API find it; the proxy itself does not read it. */
export const ADMIN_URL_VARIABLE = 'FAIRLEAD_ADMIN_URL';

/** Not part of the config, and fine all the same. */
const OTHER_VARIABLES: readonly string[] = [CONFIG_FILE_VARIABLE, ADMIN_URL_VARIABLE];

const PATHS: ReadonlyMap<string, readonly string[]> = new Map([
  ['TARGET_BACKEND_URLS', ['backends']],
  ['HEALTH_CHECK_INTERVAL', ['health_check_frequency']],
  ['HEALTH_CHECK_DOWN_INTERVAL', ['health_check_down_frequency']],
  ['HEALTH_CHECK_PATH', ['health_check_path']],
  ...TOP_LEVEL_KEYS.map((key): [string, string[]] => [PREFIX + key.toUpperCase(), [key]]),
  ['FAIRLEAD_ADMIN_TOKEN', ['admin', 'token']],
]);

const LISTEN_ADDRESS_VARIABLE = 'PROXY_LISTEN_ADDR';

export interface EnvironmentReading {
  readonly values: readonly NamedValue[];
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

/**
 * Kubernetes gives every container the addresses of the services around it, and a service may well be called
 * "fairlead": those variables say nothing about this configuration (FAIRLEAD_PORT=tcp://10.3.2.1:8080 among them).
 */
function isFromKubernetes(name: string, value: string): boolean {
  return (
    /^FAIRLEAD_SERVICE_(HOST|PORT(_\w+)?)$/.test(name) ||
    /^FAIRLEAD_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name) ||
    (name === 'FAIRLEAD_PORT' && /^(tcp|udp|sctp):\/\//.test(value))
  );
}

export function readEnvironment(environment: Environment): EnvironmentReading {
  const values: NamedValue[] = [];
  const findings: Finding[] = [];
  const notes: string[] = [];
  const report = (
    name: string,
    path: Path,
    message: string,
    hint: { hint?: string } = {},
  ): void => {
    const problem = {
      origin: 'environment',
      name,
      path: path.join('.'),
      message,
      ...hint,
    } as const;
    findings.push({ spoils: spoiltBy(path), problem });
  };
  const add = (name: string, path: readonly string[], value: unknown): void => {
    const rival = values.find((one) => one.path.join('.') === path.join('.'));
    if (rival === undefined) {
      values.push({ name, path, value });
    } else if (JSON.stringify(rival.value) !== JSON.stringify(value)) {
      report(name, path, `contradicts ${rival.name}, which sets the same key`);
    }
  };

  for (const name of Object.keys(environment).toSorted()) {
    const text = environment[name];
    if (text === undefined || text.trim() === '' || OTHER_VARIABLES.includes(name)) continue;
    const path = PATHS.get(name);
    if (name === LISTEN_ADDRESS_VARIABLE) {
      const address = parseListenAddress(text.trim());
      if (address === undefined) {
        const hint = 'write :8080 or 127.0.0.1:8080';
        report(name, ['port'], `${JSON.stringify(text)} is not a listen address`, { hint });
      } else {
        add(name, ['port'], address.port);
        if (address.host !== undefined) add(name, ['host'], address.host);
      }
    } else if (isFromKubernetes(name, text)) {
      notes.push(`${name} is not read: Kubernetes set it for a service named "fairlead"`);
    } else if (path !== undefined) {
      const schema = path.reduce(schemaBelowOrNone, CONFIG_NODE);
      const result = valueOfText(text, schema);
      if (result.ok) add(name, path, result.value);
      else report(name, path, result.message);
    } else if (name.startsWith(PREFIX)) {
      report(name, [], 'unknown variable', didYouMean(name, [...PATHS.keys(), ...OTHER_VARIABLES]));
    } else {
      const meant = commonNameNear(name);
      if (meant !== undefined) notes.push(`${name} is not read (did you mean ${meant}?)`);
    }
  }
  return { values, findings, notes };
}

/** Names without our prefix may be anyone's: only what is next to one of ours, or begins as none but ours does. */
function commonNameNear(name: string): string | undefined {
  if (name.length > 64) return undefined;
  const wanted = name.toUpperCase();
  if (/^(TARGET_)?(BACKEND|UPSTREAM)S?(_URLS?)?$/.test(wanted)) return 'TARGET_BACKEND_URLS';
  if (/^TARGET_(BACKEND|URL)/.test(wanted)) return 'TARGET_BACKEND_URLS';
  if (wanted.startsWith('PROXY_LISTEN')) return LISTEN_ADDRESS_VARIABLE;
  const common = [...PATHS.keys(), LISTEN_ADDRESS_VARIABLE].filter(
    (one) => !one.startsWith(PREFIX),
  );
  return common.find((one) => editDistance(wanted, one) <= 2);
}

function schemaBelowOrNone(node: JsonSchemaNode, segment: string): JsonSchemaNode {
  return schemaBelow(node, segment) ?? {};
}

/** `:8080`, `host:8080` or `[::1]:8080`. */
function parseListenAddress(text: string): { host?: string; port: number } | undefined {
  const parts = /^(\[[^\]]+\]|[^:[\]]*):(\d{1,5})$/.exec(text);
  if (parts === null) return undefined;
  const [, host = '', port] = parts;
  return host === '' ? { port: Number(port) } : { host, port: Number(port) };
}
