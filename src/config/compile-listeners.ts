/** The listeners of a merged configuration. */
import type { MergedConfig } from './merge.ts';
import { formatPlace, type Problem } from './problem.ts';
import type { ListenerSettings, Settings } from './settings.ts';
import { readTlsFiles, speaksTls } from './tls-files.ts';

/** Makes a path absolute, by where the value at `keys` stands. */
export type Resolve = (text: string, keys: readonly string[]) => string;

/** Reads the certificate and the key of each. */
export function compileListeners(
  merged: MergedConfig,
  resolve: Resolve,
  problems: Problem[],
  notes: string[],
): Settings['listeners'] {
  const { config, isSound } = merged;
  if (isSound('port') && isSound('admin_port') && config.port === config.admin_port) {
    problems.push(samePort(merged));
  }
  const { host, port } = config;
  return [
    {
      path: 'port',
      address: { kind: 'tcp', host, port },
      tls: isSound('ssl') ? compileTls(merged, resolve, problems, notes) : undefined,
    },
  ];
}

function samePort({ config, placeOf, isGiven }: MergedConfig): Problem {
  const key = isGiven(['admin_port']) ? 'admin_port' : 'port';
  const other = key === 'port' ? 'admin_port' : 'port';
  const where = formatPlace(placeOf([other]));
  return {
    ...placeOf([key]),
    path: key,
    message: `must differ from ${other}, which is ${config.port} too (${where})`,
    ...(key === 'admin_port' || isGiven([other]) ? {} : { hint: `set ${other} to another port` }),
  };
}

function compileTls(
  { config, placeOf, isGiven }: MergedConfig,
  resolve: Resolve,
  problems: Problem[],
  notes: string[],
): ListenerSettings['tls'] {
  const { cert_file: certFile, key_file: keyFile } = config.ssl;
  if (!speaksTls(config.ssl)) return undefined;
  const report = (key: string, message: string): void => {
    const at = isGiven(['ssl', key]) ? ['ssl', key] : ['ssl'];
    problems.push({ ...placeOf(at, 'key'), path: `ssl.${key}`, message });
  };
  if (certFile === undefined) report('cert_file', 'is missing: TLS needs a certificate');
  if (keyFile === undefined) report('key_file', 'is missing: TLS needs a private key');
  if (certFile === undefined || keyFile === undefined) return undefined;
  const result = readTlsFiles(
    resolve(certFile, ['ssl', 'cert_file']),
    resolve(keyFile, ['ssl', 'key_file']),
  );
  if (result.ok) {
    notes.push(...result.notes);
    return result.tls;
  }
  for (const { key, message } of result.faults) {
    problems.push({ ...placeOf(['ssl', key]), path: `ssl.${key}`, message });
  }
  return undefined;
}
