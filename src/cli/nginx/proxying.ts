/** `proxy_pass` and `grpc_pass` with what stands beside them: the pool that they mean, and what becomes of the path and the fields. */
import path from 'node:path';
import type { LocationPath } from './location-path.ts';
import type { Directive } from './nginx-syntax.ts';
import type { Report } from './report.ts';
import type { Scope } from './scope.ts';
import { backendUrl, poolOfUpstream, type Yaml } from './upstreams.ts';
import { durationOf, templateOf } from './values.ts';

/** How long nginx waits for a backend where nothing is said. */
const NGINX_PATIENCE = '60s';

export interface Surroundings {
  /** By name. */
  readonly upstreams: ReadonlyMap<string, Scope>;
  /** What files are relative to. */
  readonly folder: string;
  readonly report: Report;
}

export interface Proxied {
  /** What the pool is called, unless another one is. */
  readonly name: string;
  readonly pool: Yaml;
  /** Of the route. */
  readonly terms: Yaml;
  /** Of `=/path`, where the location has the prefix alone for a path. */
  readonly exactTerms?: Yaml;
}

/** @returns undefined where it can't be said; that is reported. */
export function proxied(
  pass: Directive,
  scope: Scope,
  where: LocationPath,
  { upstreams, folder, report }: Surroundings,
): Proxied | undefined {
  const [, scheme = '', authority = '', uri = ''] =
    /^(https?|grpcs?):\/\/(unix:[^:]+|[^/$]+):?(\/.*|\$request_uri)?$/.exec(pass.args[0] ?? '') ??
    [];
  if (scheme === '' || authority.includes('$')) {
    report.leftOut(pass, 'where it leads is found at run time, by variables: name the backends');
    return undefined;
  }
  const isTls = scheme.endsWith('s');
  const isGrpc = scheme.startsWith('grpc');
  const spoken = isTls ? 'https' : 'http';
  const upstream = upstreams.get(authority);
  const backends =
    upstream === undefined
      ? { backends: [backendUrl(authority, spoken)] }
      : poolOfUpstream(upstream, spoken, report);
  const paths = uri === '' || uri === '$request_uri' ? {} : rewritten(uri, where, pass, report);
  if (paths === undefined) return undefined;
  const { host, fields } = fieldsOf(pass, scope, authority, report);
  const pool = {
    ...backends,
    ...(isGrpc && { protocol: 'h2' }),
    host_header: host,
    ...timeoutsOf(scope, isGrpc ? 'grpc' : 'proxy', report),
    ...retriesOf(scope, report),
    ...(isTls && { tls: tlsOf(scope, folder, report) }),
    // nginx looks at requests alone.
    health_check: { method: 'tcp' },
  };
  const name = authority.startsWith('unix:') ? 'unix' : authority;
  const { exact, ...rest } = paths;
  const terms = { ...rest, ...fields };
  return { name, pool, terms, ...(exact !== undefined && { exactTerms: { ...exact, ...fields } }) };
}

/** What `proxy_pass` with a URI does: that stands in the place of the prefix. */
function rewritten(
  uri: string,
  { prefix, isExact }: LocationPath,
  pass: Directive,
  report: Report,
): (Yaml & { readonly exact?: Yaml }) | undefined {
  if (prefix === undefined || uri.includes('$')) {
    report.leftOut(pass, 'a URI with variables, or in a location with a regular expression');
    return undefined;
  }
  if (prefix === uri) return {};
  if (isExact) return { rewrite: uri };
  // `/api/` and `/`, `/api/` and `/v2/`: the slash between them is on both sides or on none.
  if (prefix.endsWith('/') && uri === '/') return { strip_prefix: prefix.replace(/\/$/, '') };
  if (prefix.endsWith('/')) return { rewrite: `${uri}\${path.rest}` };
  if (uri.endsWith('/')) {
    report.differs(pass, 'nginx forwards these paths with two slashes in a row, Fairlead with one');
    return { rewrite: `${uri}\${path.rest}` };
  }
  return { rewrite: `${uri}/\${path.rest}`, exact: { rewrite: uri } };
}

/** Fairlead sends them by itself. */
const OWN_FIELDS =
  /^(x-forwarded-(for|proto|host|port)|connection|upgrade|x-request-id|via|forwarded|te)$/;

function fieldsOf(
  pass: Directive,
  scope: Scope,
  authority: string,
  report: Report,
): { readonly host: string; readonly fields: Yaml } {
  const set: Record<string, string> = {};
  const remove: string[] = [];
  const proxyHost = authority.startsWith('unix:') ? 'localhost' : authority;
  let host = proxyHost;
  for (const directive of scope.all(
    pass.name === 'grpc_pass' ? 'grpc_set_header' : 'proxy_set_header',
  )) {
    const [name = '', value = ''] = directive.args;
    const field = name.toLowerCase();
    if (field === 'host') {
      host = /^\$(host|http_host)$/.test(value)
        ? 'client'
        : value.replace(/\$proxy_host/, proxyHost);
      continue;
    }
    if (OWN_FIELDS.test(field)) continue;
    if (value === '') {
      remove.push(field);
      continue;
    }
    const text = templateOf(
      value,
      new Map([
        ['proxy_host', proxyHost],
        ['proxy_add_x_forwarded_for', '${client.address}'],
      ]),
    );
    if (text === undefined) report.leftOut(directive, 'a variable that there is none for');
    else set[field] = text;
  }
  if (host !== 'client' && !/^[a-z\d]([a-z\d.-]*[a-z\d])?(:\d+)?$/i.test(host)) {
    report.differs(pass, `backends get their own name for a Host: "${host}" can not be one`);
    host = 'backend';
  }
  const request = {
    ...(Object.keys(set).length > 0 && { set }),
    ...(remove.length > 0 && { remove }),
  };
  return { host, fields: Object.keys(request).length === 0 ? {} : { request_headers: request } };
}

function timeoutsOf(scope: Scope, kind: 'proxy' | 'grpc', report: Report): Yaml {
  const time = (name: string): string | undefined => {
    const directive = scope.find(`${kind}_${name}`);
    const duration = directive === undefined ? undefined : durationOf(directive.args.join(' '));
    if (directive !== undefined && duration === undefined) report.leftOut(directive, 'no time');
    return duration;
  };
  const [connect, read] = [time('connect_timeout'), time('read_timeout')];
  const send = scope.find(`${kind}_send_timeout`);
  if (send !== undefined) report.leftOut(send, 'timeouts.idle is for both directions');
  return {
    timeouts: {
      ...(connect !== undefined && { connect }),
      response: read ?? NGINX_PATIENCE,
      ...(read !== undefined && { idle: read, tunnel: read }),
    },
  };
}

function retriesOf(scope: Scope, report: Report): Yaml {
  const next = scope.find('proxy_next_upstream');
  const tries = Number(scope.text('proxy_next_upstream_tries') ?? 0);
  const most = tries > 0 ? { attempts: Math.min(tries, 10) } : {};
  const time = scope.find('proxy_next_upstream_timeout');
  if (time !== undefined && time.args[0] !== '0') report.leftOut(time, 'see timeouts.total');
  if (next?.args.includes('off')) return { retries: false };
  const statuses = (next?.args ?? []).flatMap((word) => {
    const status = Number(/^http_(\d+)$/.exec(word)?.[1] ?? 0);
    return status === 0 ? [] : [status];
  });
  const retries = {
    ...most,
    ...(statuses.length > 0 && { on_status: [...new Set(statuses)] }),
    ...(next?.args.includes('non_idempotent') && { non_idempotent: true }),
  };
  return Object.keys(retries).length === 0 ? {} : { retries };
}

function tlsOf(scope: Scope, folder: string, report: Report): Yaml {
  const name = scope.find('proxy_ssl_name');
  const serverName = name === undefined ? undefined : name.args[0];
  const isPlain = serverName !== undefined && /^[\w.-]+$/.test(serverName);
  if (name !== undefined && !isPlain) report.leftOut(name, 'a name that is found at run time');
  const files = new Map([
    ['ca_file', scope.text('proxy_ssl_trusted_certificate')],
    ['cert_file', scope.text('proxy_ssl_certificate')],
    ['key_file', scope.text('proxy_ssl_certificate_key')],
  ]);
  return {
    ...(isPlain && { server_name: serverName }),
    ...Object.fromEntries(
      [...files].flatMap(([key, file]) =>
        file === undefined ? [] : [[key, path.resolve(folder, file)]],
      ),
    ),
    // Without it nginx takes any certificate.
    verify: scope.text('proxy_ssl_verify') === 'on',
  };
}
