/** The admin API of a merged configuration. */

import { readAuthorities } from '../certificates/authorities-file.ts';
import { notesOnChain, notesOnExpiry, readCertificates } from '../certificates/tls-files.ts';
import type { MergedConfig } from '../merge.ts';
import type { Problem } from '../problem.ts';
import { type AdminToken } from '../read/admin-token.ts';
import { readTokensFile } from '../read/admin-tokens.ts';
import { lengthFault } from '../schema/listener-schema.ts';
import type { AdminSettings, Settings, TlsSettings } from '../settings.ts';
import { isLoopback } from '../values/network-address.ts';
import type { Resolve } from './compile-tls.ts';

interface Reading {
  readonly resolve: Resolve;
  readonly problems: Problem[];
  readonly notes: string[];
  readonly listeners: Settings['listeners'];
}

const DEFAULT_MODE = 0o600;

/** Reads the file of tokens. */
export function compileAdmin(merged: MergedConfig, reading: Reading): AdminSettings {
  const { config, isSound } = merged;
  const { admin, admin_port: port } = config;
  if (admin === false || !isSound('admin')) {
    const isOff = admin === false;
    const host = isOff ? '127.0.0.1' : admin.host;
    return {
      isOff,
      host,
      port,
      unix: null,
      tls: undefined,
      token: undefined,
      tokens: null,
      rates: null,
    };
  }
  const { host, token, rate_limit: rates } = admin;
  const tokens = tokensOf(admin.tokens_file, merged, reading);
  const unix = unixOf(admin, merged, reading);
  if (token === undefined && tokens === null && unix === null && !isLoopback(host)) {
    report(merged, reading, 'host', {
      message: `${host} is not a loopback address, so the admin API needs a token`,
      hint: 'set admin.tokens_file, admin.token or FAIRLEAD_ADMIN_TOKEN',
    });
  }
  return {
    isOff: false,
    host,
    port,
    unix,
    tls: admin.tls && tlsOf(admin.tls, merged, reading),
    token,
    tokens,
    rates: rates === false ? null : rates,
  };
}

/** The port that it listens on; undefined: none. */
export function adminPortOf({
  admin,
  admin_port: port,
}: MergedConfig['config']): number | undefined {
  return admin === false || admin.unix !== undefined ? undefined : port;
}

function unixOf(
  { unix, mode }: Exclude<MergedConfig['config']['admin'], false>,
  merged: MergedConfig,
  reading: Reading,
): AdminSettings['unix'] {
  if (unix === undefined) {
    if (mode !== undefined) report(merged, reading, 'mode', { message: 'is of a unix socket' });
    return null;
  }
  const path = reading.resolve(unix, ['admin', 'unix']);
  const fault = lengthFault(path);
  if (fault !== null) report(merged, reading, 'unix', { message: fault });
  if (merged.isGiven(['admin', 'host'])) {
    report(merged, reading, 'host', { message: 'is of a port, and admin.unix takes its place' });
  }
  if (reading.listeners.some(({ address }) => address.kind === 'unix' && address.path === path)) {
    report(merged, reading, 'unix', { message: `${path} is where clients connect` });
  }
  if (merged.isGiven(['admin_port'])) {
    reading.notes.push('admin_port is not used: the admin API listens on admin.unix');
  }
  return { path, mode: mode ?? DEFAULT_MODE };
}

function tlsOf(
  written: NonNullable<Exclude<MergedConfig['config']['admin'], false>['tls']>,
  merged: MergedConfig,
  reading: Reading,
): TlsSettings {
  const resolve = (key: string, file: string): string =>
    reading.resolve(file, ['admin', 'tls', key]);
  const refuse = (key: string, message: string): void =>
    report(merged, reading, `tls.${key}`, { message });
  const source = {
    kind: 'pair',
    certFile: resolve('cert_file', written.cert_file),
    keyFile: resolve('key_file', written.key_file),
  } as const;
  const { certificates, faults } = readCertificates(source);
  for (const { key, message } of faults) refuse(key, message);
  for (const one of certificates) {
    reading.notes.push(...notesOnExpiry(one), ...notesOnChain(one));
  }
  const { client_ca_file: ca } = written;
  return {
    sources: [source],
    certificates,
    acme: null,
    refusesUnknownNames: false,
    clientCertificates:
      ca === undefined ? null : authoritiesOf(resolve('client_ca_file', ca), refuse),
    minVersion: '1.2',
  };
}

function authoritiesOf(
  caFile: string,
  refuse: (key: string, message: string) => void,
): TlsSettings['clientCertificates'] {
  const read = readAuthorities(caFile);
  if ('text' in read) return { mode: 'require', caFile, ca: read.text };
  refuse('client_ca_file', read.message);
  return null;
}

function report(
  { placeOf }: MergedConfig,
  { problems }: Reading,
  key: string,
  problem: Pick<Problem, 'message' | 'hint'>,
): void {
  problems.push({ ...placeOf(['admin', ...key.split('.')]), path: `admin.${key}`, ...problem });
}

function tokensOf(
  written: string | undefined,
  { placeOf }: MergedConfig,
  reading: Reading,
): AdminSettings['tokens'] {
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
