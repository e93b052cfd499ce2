/** Programs of the system that some tests need. `npm test` installs them where it may, and says which are missing. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export type Tool =
  | 'ab'
  | 'hey'
  | 'openssl'
  | 'curl'
  | 'script'
  | 'git'
  | 'man'
  | 'h2load'
  | 'nginx'
  | 'haproxy'
  | 'caddy'
  | 'go'
  | 'prometheus'
  | 'promtool'
  | 'chromium'
  | 'etcd'
  | 'etcdctl'
  | 'perl'
  | 'pebble'
  | 'pebble-challtestsrv'
  | 'redis-server'
  | 'systemd-notify';

/** Servers are where the PATH of a user may not lead. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];

export function hasTool(name: Tool): boolean {
  return pathOf(name) !== undefined;
}

/** Where it is, if it is here. */
export function pathOf(name: Tool): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
