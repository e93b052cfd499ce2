/** What certificates over ACME need of the rest of a config: what can't work is a problem, what may not work is worth a note. */
import type { AcmeSettings } from '../acme-settings.ts';
import type { MergedConfig } from '../merge.ts';
import type { Problem } from '../problem.ts';
import type { Path } from '../read/layer.ts';
import type { ListenerSettings, RouteSettings } from '../settings.ts';
import { isSame } from '../values/same.ts';

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/** One store for all, somebody who answers, and one who decides for each authority. */
export function acmeProblems(
  listeners: readonly ListenerSettings[],
  { config: { cluster }, placeOf }: MergedConfig,
): Problem[] {
  const problems: Problem[] = [];
  const all = withAcme(listeners);
  const [first] = all;
  const hasPlain = listeners.some(({ tls }) => tls === undefined);
  for (const { listener, acme } of all) {
    const report = (key: Path, message: string, hint?: string): void => {
      const [acmeKeys, keys] = [keysOf(listener), [...keysOf(listener), ...key]];
      const isThere = placeOf(keys).origin !== 'default';
      const place = isThere ? placeOf(keys) : placeOf(acmeKeys, 'key');
      problems.push({
        ...place,
        path: keys.join('.'),
        message,
        ...(hint !== undefined && { hint }),
      });
    };
    const sharing = all.find((one) => isOfSameAuthority(one.acme, acme));
    if (sharing !== undefined && sharing.acme.onDemand?.askUrl !== acme.onDemand?.askUrl) {
      report(
        ['on_demand', 'ask'],
        `must be the same as in ${sharing.listener.path}: listeners with the same ca share the certificates that are fetched on demand`,
        'write the same URL, or give one of them another ca',
      );
    }
    if (first !== undefined && !isSame(acme.store, first.acme.store)) {
      report(
        ['store_file'],
        `and its key must be the same as in ${first.listener.path}: there is one store`,
      );
    }
    const hasKey = cluster !== false && (cluster.key ?? cluster.key_file) !== undefined;
    if (acme.store === null && !hasKey) {
      const message =
        'needs cluster.key_file: private keys lie in etcd sealed (openssl rand -base64 32 makes one)';
      problems.push({
        ...placeOf(keysOf(listener), 'key'),
        path: keysOf(listener).join('.'),
        message,
      });
    }
    if (acme.challenge === 'http-01' && !hasPlain) {
      report(['challenge'], 'http-01 needs a listener without tls, and there is none');
    }
  }
  return problems;
}

export function notesOnAcme(
  listeners: readonly ListenerSettings[],
  routes: readonly RouteSettings[],
): string[] {
  const all = withAcme(listeners);
  const uses = (kind: AcmeSettings['challenge']): boolean =>
    all.some(({ acme }) => acme.challenge === kind);
  const notes: string[] = [];
  const isAt = (port: number, speaksTls: boolean): boolean =>
    listeners.some(
      ({ address, tls }) =>
        (address.kind === 'inherited' || (address.kind === 'tcp' && address.port === port)) &&
        (tls !== undefined) === speaksTls,
    );
  if (uses('http-01') && !isAt(HTTP_PORT, false)) {
    notes.push(
      'acme: an authority asks at port 80 (http-01), and no listener without tls has it: it has to be forwarded to one',
    );
  }
  if (uses('tls-alpn-01') && !isAt(HTTPS_PORT, true)) {
    notes.push(
      'acme: an authority asks at port 443 (tls-alpn-01), and no listener with tls has it: it has to be forwarded to one',
    );
  }
  const hosts = routes.flatMap(({ match }) => match.hosts);
  const servesAll = routes.some(({ match }) => match.hosts.length === 0);
  const lost = servesAll
    ? []
    : all.flatMap(({ acme }) => acme.names).filter((name) => !isServed(name, hosts));
  for (const name of new Set(lost)) {
    notes.push(`acme: there is a certificate for ${name}, and no route: its requests get 404`);
  }
  return notes;
}

/** Both have names on demand from it. */
function isOfSameAuthority(one: AcmeSettings, other: AcmeSettings): boolean {
  const haveSome = one.onDemand !== null && other.onDemand !== null;
  return haveSome && one.directoryUrl === other.directoryUrl;
}

function keysOf({ path }: ListenerSettings): Path {
  return ['listeners', Number(path.split('.')[1]), 'tls', 'acme'];
}

function withAcme(listeners: readonly ListenerSettings[]) {
  return listeners.flatMap((listener) => {
    const acme = listener.tls?.acme ?? null;
    return acme === null ? [] : [{ listener, acme }];
  });
}

/** Of a wildcard: any of its names. */
function isServed(name: string, hosts: readonly string[]): boolean {
  return hosts.some((host) => {
    if (host === name) return true;
    if (host.startsWith('*.') && name.endsWith(host.slice(1))) return true;
    return name.startsWith('*.') && host.endsWith(name.slice(1));
  });
}
