/** The key `cluster.redis`, and whether the package is there that it needs. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { MergedConfig } from '../merge.ts';
import type { Problem } from '../problem.ts';
import type { RedisSettings } from '../redis-settings.ts';
import type { Resolve } from './compile-tls.ts';

/** It is no part of Fairlead: only who has limits counted by Redis installs it. */
export const REDIS_PACKAGE = 'ioredis';

type FileKey = 'ca_file' | 'cert_file' | 'key_file';

/** Null: there is none, or it can't be used. */
export function compileRedis(
  { config: { cluster }, placeOf }: MergedConfig,
  resolve: Resolve,
  problems: Problem[],
): RedisSettings | null {
  const redis = cluster === false ? false : cluster.redis;
  if (redis === false) return null;
  const before = problems.length;
  const report = (keys: readonly string[], message: string, hint?: string): undefined => {
    const at = ['cluster', 'redis', ...keys];
    const more = hint === undefined ? {} : { hint };
    problems.push({ ...placeOf(at, 'key'), path: at.join('.'), message, ...more });
    return undefined;
  };
  if (!isInstalled()) {
    report(
      [],
      `needs the package ${REDIS_PACKAGE}, which is not installed beside Fairlead`,
      `npm install ${REDIS_PACKAGE}`,
    );
  }
  const read = (keys: readonly string[], file: string | undefined): string | undefined => {
    if (file === undefined) return undefined;
    try {
      return readFileSync(resolve(file, ['cluster', 'redis', ...keys]), 'utf8');
    } catch (error) {
      return report(keys, `can't be read: ${(error as Error).message}`);
    }
  };
  const { url, username, tls, prefix, password, password_file: passwordFile } = redis;
  if (password !== undefined && passwordFile !== undefined) {
    report(['password'], 'stands beside password_file: one of them is enough');
  }
  const secret = password ?? read(['password_file'], passwordFile)?.trim();
  if (username !== undefined && secret === undefined) report(['username'], 'needs a password');
  if (tls !== undefined && !url.startsWith('rediss:')) {
    report(['tls'], 'needs a URL that begins with rediss://');
  }
  if ((tls?.cert_file === undefined) !== (tls?.key_file === undefined)) {
    report(['tls'], 'needs cert_file and key_file together');
  }
  const pem = (key: FileKey): string | undefined => read(['tls', key], tls?.[key]);
  const [ca, cert, key] = [pem('ca_file'), pem('cert_file'), pem('key_file')];
  if (problems.length > before) return null;
  const file = (name: FileKey): Record<string, string> =>
    tls?.[name] === undefined
      ? {}
      : { [name]: resolve(tls[name], ['cluster', 'redis', 'tls', name]) };
  return {
    url,
    username,
    password: secret,
    passwordFile: passwordFile && resolve(passwordFile, ['cluster', 'redis', 'password_file']),
    prefix,
    tls: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(tls?.server_name !== undefined && { servername: tls.server_name }),
    },
    files: { ...file('ca_file'), ...file('cert_file'), ...file('key_file') },
  };
}

function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve(REDIS_PACKAGE);
    return true;
  } catch {
    return false;
  }
}
