/** Upstreams of nginx as pools. */
import type { Directive } from './nginx-syntax.ts';
import type { Report } from './report.ts';
import type { Scope } from './scope.ts';
import { durationOf } from './values.ts';

export type Yaml = Record<string, unknown>;

/** Those that say nothing that is needed here, or what Fairlead does by itself. */
const NEEDLESS: ReadonlySet<string> = new Set([
  'zone',
  'keepalive',
  'keepalive_requests',
  'keepalive_timeout',
  'keepalive_time',
  'server',
]);

/** @param scheme what its servers are spoken to by: `http` or `https`. */
export function poolOfUpstream(upstream: Scope, scheme: string, report: Report): Yaml {
  const servers = upstream.own('server');
  const backends: unknown[] = [];
  const faults = new Set<string>();
  const caps = new Set<string>();
  for (const server of servers) {
    const [address = '', ...options] = server.args;
    const known = new Map(
      options.map((option) => {
        const [name = '', value = ''] = option.split('=');
        return [name, value] as const;
      }),
    );
    if (known.has('down')) {
      report.leftOut(server, 'a server that is down: add it to backends when it comes back');
      continue;
    }
    for (const name of known.keys()) {
      if (!/^(weight|backup|max_fails|fail_timeout|max_conns|resolve)$/.test(name)) {
        report.leftOut(server, `${name} has no counterpart`);
      }
    }
    const url = backendUrl(address, scheme);
    const weight = Number(known.get('weight') ?? 1);
    const isBackup = known.has('backup');
    const terms = { ...(weight !== 1 && { weight }), ...(isBackup && { backup: true }) };
    backends.push(Object.keys(terms).length === 0 ? url : { url, ...terms });
    faults.add(`${known.get('max_fails') ?? ''}/${known.get('fail_timeout') ?? ''}`);
    caps.add(known.get('max_conns') ?? '0');
  }
  return {
    ...strategyOf(upstream, report),
    ...faultsOf(faults, servers, report),
    ...capsOf(caps, servers, report),
    backends,
  };
}

export function backendUrl(address: string, scheme: string): string {
  if (address.startsWith('unix:')) return address;
  return `${scheme}://${address}`;
}

function faultsOf(
  faults: ReadonlySet<string>,
  servers: readonly Directive[],
  report: Report,
): Yaml {
  const [first = '/', ...others] = faults;
  const [server] = servers;
  if (server === undefined || (first === '/' && others.length === 0)) return {};
  if (others.length > 0) {
    report.leftOut(
      server,
      'max_fails and fail_timeout differ from server to server: outlier_detection is one for a pool',
    );
    return {};
  }
  const [fails = '', time = ''] = first.split('/');
  if (fails === '0') return { outlier_detection: false };
  const ejection = durationOf(time);
  return {
    outlier_detection: {
      ...(fails !== '' && { consecutive_failures: Math.min(Number(fails), 1_000) }),
      ...(ejection !== undefined && { base_ejection: ejection }),
    },
  };
}

function capsOf(caps: ReadonlySet<string>, servers: readonly Directive[], report: Report): Yaml {
  const [first = '0', ...others] = caps;
  if (others.length === 0) return first === '0' ? {} : { max_connections: Number(first) };
  report.leftOut(
    servers[0] as Directive,
    'max_conns differs from server to server: max_connections is one for a pool',
  );
  return {};
}

function strategyOf(upstream: Scope, report: Report): Yaml {
  let strategy: Yaml = {};
  for (const directive of upstream.directives) {
    const { name, args } = directive;
    if (name === 'least_conn') strategy = { strategy: 'least-connections' };
    else if (name === 'ip_hash') {
      strategy = { strategy: 'ip-hash' };
      report.differs(
        directive,
        'nginx goes by the first three numbers of an IPv4 address, Fairlead by all of it',
      );
    } else if (name === 'random') strategy = { strategy: 'random-two' };
    else if (name === 'least_time') strategy = { strategy: 'peak-ewma' };
    else if (name === 'hash') {
      const hash = hashOf(args[0] ?? '');
      if (hash === undefined)
        report.leftOut(
          directive,
          'requests can be hashed by one of address, field, cookie, path and parameter',
        );
      else strategy = hash;
    } else if (!NEEDLESS.has(name)) report.leftOut(directive, 'has no counterpart');
  }
  return strategy;
}

function hashOf(key: string): Yaml | undefined {
  const by = (hash: Yaml): Yaml => ({ strategy: 'consistent-hash', hash });
  if (/^\$(remote_addr|binary_remote_addr)$/.test(key)) return by({ by: 'ip' });
  if (/^\$(request_uri|uri)$/.test(key)) return by({ by: 'path' });
  const [, kind, name = ''] = /^\$(http|cookie|arg)_(\w+)$/.exec(key) ?? [];
  if (kind === 'http') return by({ by: 'header', name: name.replaceAll('_', '-') });
  if (kind === 'cookie') return by({ by: 'cookie', name });
  return kind === 'arg' ? by({ by: 'query', name }) : undefined;
}
