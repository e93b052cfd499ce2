/** The key `cluster`: names are filled in, and files are read. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import type { MergedConfig } from '../merge.ts';
import type { Problem } from '../problem.ts';
import type { AdminSettings, ClusterSettings } from '../settings.ts';
import { urlOfListener } from '../values/listener-name.ts';
import { readSealingKey, SEALING_KEY, sealingKeysIn } from '../values/sealing-key.ts';
import type { Resolve } from './compile-tls.ts';

type ClusterConfig = Exclude<MergedConfig['config']['cluster'], false>;

const NO_KEY =
  'cluster has no key_file: instances share no secrets, so that session cookies whose pool has no secret, and sessions of TLS, are good at one of them';
const ONLY_WITH_ETCD = ['name', 'instance', 'address', 'key_file', 'key', 'snapshot_file'];

interface Surroundings {
  readonly admin: AdminSettings;
  /** Of what is to outlive the process; undefined: there is none. */
  readonly folder: string | undefined;
  readonly resolve: Resolve;
  readonly problems: Problem[];
  readonly notes: string[];
}

export function compileCluster(
  merged: MergedConfig,
  { admin, folder, resolve, problems, notes }: Surroundings,
): ClusterSettings | null {
  const { cluster } = merged.config;
  if (cluster === false || !merged.isSound('cluster')) return null;
  const report = (keys: readonly string[], message: string, hint?: string): undefined => {
    const at = ['cluster', ...keys];
    const place = merged.placeOf(at);
    problems.push({ ...place, path: at.join('.'), message, ...(hint !== undefined && { hint }) });
    return undefined;
  };
  const read = (keys: readonly string[], file: string | undefined): string | undefined => {
    if (file === undefined) return undefined;
    const absolute = resolve(file, ['cluster', ...keys]);
    try {
      return readFileSync(absolute, 'utf8');
    } catch (error) {
      return report(keys, `can't be read: ${(error as Error).message}`);
    }
  };
  const both = (one: string, other: string, keys: readonly string[]): void => {
    void report([...keys, one], `stands beside ${other}: one of them is enough`);
  };

  const { name, key, key_file: keyFile, etcd } = cluster;
  if (etcd === undefined) {
    for (const only of ONLY_WITH_ETCD.filter((one) => merged.isGiven(['cluster', one]))) {
      report([only], 'needs cluster.etcd');
    }
    return null;
  }
  if (key !== undefined && keyFile !== undefined) both('key', 'key_file', []);
  const instance = cluster.instance ?? defaultInstance(admin);
  if (instance === undefined) {
    report([], 'needs "instance": the name of this host does not do for one');
  }
  const secret = key ?? read(['key_file'], keyFile);
  if (secret === undefined) notes.push(NO_KEY);
  else if (sealingKeysIn(secret).length === 0 || !sealingKeysIn(secret).every(readSealingKey)) {
    report([key === undefined ? 'key_file' : 'key'], SEALING_KEY);
  }
  return {
    name,
    instance: instance ?? '',
    address: cluster.address ?? addressOf(admin),
    etcd: etcdOf(etcd, { report, read, both }),
    key: secret,
    keyFile: keyFile === undefined ? undefined : resolve(keyFile, ['cluster', 'key_file']),
    snapshotFile: snapshotFile(cluster, instance ?? '', folder, resolve),
  };
}

interface Reading {
  readonly report: (keys: readonly string[], message: string, hint?: string) => undefined;
  readonly read: (keys: readonly string[], file: string | undefined) => string | undefined;
  readonly both: (one: string, other: string, keys: readonly string[]) => void;
}

function etcdOf(
  {
    endpoints,
    tls,
    user,
    password,
    password_file: passwordFile,
    prefix,
  }: NonNullable<ClusterConfig['etcd']>,
  { report, read, both }: Reading,
): ClusterSettings['etcd'] {
  if (tls !== undefined && endpoints.every((url) => url.startsWith('http:'))) {
    report(['etcd', 'tls'], 'needs endpoints that begin with https://');
  }
  if ((tls?.cert_file === undefined) !== (tls?.key_file === undefined)) {
    report(['etcd', 'tls'], 'needs cert_file and key_file together');
  }
  if (password !== undefined && passwordFile !== undefined)
    both('password', 'password_file', ['etcd']);
  const secret = password ?? read(['etcd', 'password_file'], passwordFile)?.trim();
  if ((user === undefined) !== (secret === undefined)) {
    report(['etcd'], 'needs user and password together');
  }
  const ca = read(['etcd', 'tls', 'ca_file'], tls?.ca_file);
  const cert = read(['etcd', 'tls', 'cert_file'], tls?.cert_file);
  const key = read(['etcd', 'tls', 'key_file'], tls?.key_file);
  return {
    endpoints,
    prefix,
    tls: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(tls?.server_name !== undefined && { serverName: tls.server_name }),
    },
    files: tls ?? null,
    login: user === undefined || secret === undefined ? null : { user, password: secret },
  };
}

function defaultInstance({ unix, isOff, port }: AdminSettings): string | undefined {
  const host = hostname().replaceAll(/[^\w.-]/g, '-');
  const name = unix !== null || isOff ? host : `${host}-${port}`;
  return /^[\w.-]{1,64}$/.test(name) ? name : undefined;
}

/** Null: no other instance can reach it. */
function addressOf({ isOff, unix, host, port, tls }: AdminSettings): string | null {
  if (isOff || unix !== null) return null;
  return urlOfListener({ kind: 'tcp', host, port }, tls !== undefined);
}

function snapshotFile(
  { snapshot_file: given }: ClusterConfig,
  instance: string,
  folder: string | undefined,
  resolve: Resolve,
): string | undefined {
  if (given === false) return undefined;
  if (given !== undefined) return resolve(given, ['cluster', 'snapshot_file']);
  if (folder === undefined) return undefined;
  return path.join(folder, `fairlead.cluster-${instance}.json`);
}
