/** An nginx config as one of Fairlead: the common subset, and what could not be carried over. */
import { NEEDLESS_DIRECTIVES, READ_DIRECTIVES, REASONS } from './known.ts';
import { type Listeners, listenerConfig, listenersOf, type Server } from './listeners.ts';
import type { NginxTree } from './nginx-files.ts';
import type { Directive } from './nginx-syntax.ts';
import { Report } from './report.ts';
import { type CommentedRoute, NGINX_BODY, Routes } from './routes.ts';
import { Scope } from './scope.ts';
import type { Yaml } from './upstreams.ts';
import { durationOf, sizeOf } from './values.ts';

export interface Imported {
  readonly top: Yaml;
  readonly listeners: readonly Yaml[];
  readonly pools: ReadonlyMap<string, Yaml>;
  readonly routes: readonly CommentedRoute[];
  readonly report: Report;
}

export function importNginx({ folder, directives }: NginxTree): Imported {
  const report = new Report();
  // A file for conf.d has no `http` around it.
  const https = directives.filter(({ name }) => name === 'http');
  const inHttp = https.length === 0 ? directives : https.flatMap(({ block }) => block ?? []);
  const http = new Scope(inHttp);
  const servers = http.own('server').map(
    (directive): Server => ({
      directive,
      scope: new Scope(directive.block ?? [], http),
    }),
  );
  const upstreams = new Map(
    http.own('upstream').map(({ args: [name = ''], block }) => [name, new Scope(block ?? [])]),
  );
  const routes = new Routes({ upstreams, folder, report }, http.own('limit_req_zone'));
  const all = listenersOf(servers, report);
  const redirecting = onlyToHttps(all);
  const serving = servers.filter((server) => !redirecting.has(server));
  tellOfPorts(all, redirecting, report);
  addRoutes(all, serving, routes, report);
  tellOfOthers(directives, report);
  const isRedirecting = ({ servers: its }: { readonly servers: readonly Server[] }): boolean =>
    its.every((server) => redirecting.has(server));
  return {
    top: topOf(http, servers, routes.redirects, report),
    listeners: [...all.values()].map((one) =>
      listenerConfig(one, isRedirecting(one), folder, report),
    ),
    pools: routes.pools,
    routes: routes.routes,
    report,
  };
}

function addRoutes(
  all: Listeners,
  serving: readonly Server[],
  routes: Routes,
  report: Report,
): void {
  const firsts = new Set([...all.values()].map(({ servers: [first] }) => first));
  const isDefault = (server: Server): boolean => firsts.has(server);
  const wildcards = serving.flatMap((server) =>
    namesOf(server, report).filter((name) => name.startsWith('*')),
  );
  const isBelowOne = (name: string): boolean =>
    wildcards.some((wildcard) => wildcard !== name && name.endsWith(wildcard.slice(1)));
  for (const server of serving) {
    const names = namesOf(server, report);
    // Who is for all names needs none, but where the names of another are for more.
    if (names.length > 0 && (!isDefault(server) || names.some(isBelowOne))) {
      routes.add(server.directive, server.scope, names);
    }
    if (isDefault(server)) routes.add(server.directive, server.scope, []);
    else if (names.length === 0)
      report.leftOut(server.directive, 'it has no name, and another server has its address');
  }
}

function namesOf({ scope }: Server, report: Report): string[] {
  return scope.own('server_name').flatMap((directive) =>
    directive.args.flatMap((name) => {
      if (name === '_' || name === '') return [];
      if (name.startsWith('.')) return [name.slice(1), `*${name}`];
      if (/^(\*\.)?[\w-]+(\.[\w-]+)*$/.test(name)) return [name.toLowerCase()];
      report.leftOut(directive, `"${name}" is no name and no *. before one`);
      return [];
    }),
  );
}

/** Servers without anything but `return 301 https://$host$request_uri`: a flag of the listener. */
function onlyToHttps(all: Listeners): ReadonlySet<Server> {
  const isTls = [...all.values()].some(({ flags }) => flags.has('ssl'));
  const found = new Set<Server>();
  if (!isTls) return found;
  for (const { servers, flags } of all.values()) {
    if (flags.has('ssl') || !servers.every(isRedirect)) continue;
    for (const server of servers) found.add(server);
  }
  return found;
}

function isRedirect({ scope }: Server): boolean {
  const [location, ...others] = scope.own('location');
  const inside = location?.args.at(-1) === '/' ? new Scope(location.block ?? []).own('return') : [];
  const [answer] = [...scope.own('return'), ...inside];
  if (others.length > 0 || answer === undefined) return false;
  return /^https:\/\/\$(host|server_name|http_host)\$request_uri$/.test(answer.args.at(-1) ?? '');
}

/** Routes do not tell listeners apart. */
function tellOfPorts(all: Listeners, redirecting: ReadonlySet<Server>, report: Report): void {
  const keys = [...all].filter(([, { servers }]) => !servers.every((one) => redirecting.has(one)));
  for (const [, { servers }] of keys) {
    for (const server of servers) {
      const own = keys.filter(([, { servers: its }]) => its.includes(server)).length;
      if (own < keys.length)
        report.differs(
          server.directive,
          'its routes are there on every listener, not on its own addresses alone',
        );
    }
  }
}

function topOf(
  http: Scope,
  servers: readonly Server[],
  redirects: readonly (Directive | undefined)[],
  report: Report,
): Yaml {
  const time = (name: string): string | undefined => {
    const directive = http.find(name);
    for (const { scope } of servers)
      for (const own of scope.own(name)) report.leftOut(own, 'one time is for all servers');
    return directive === undefined ? undefined : durationOf(directive.args[0] ?? '');
  };
  const [keepAlive, head, idle] = [
    time('keepalive_timeout'),
    time('client_header_timeout'),
    time('client_body_timeout'),
  ];
  const timeouts = {
    ...(keepAlive !== undefined && keepAlive !== '0s' && { keep_alive: keepAlive }),
    ...(head !== undefined && { head }),
    ...(idle !== undefined && { idle }),
  };
  const trusted = trustedProxiesOf(http, servers, report);
  const isQuiet = http.text('access_log') === 'off';
  return {
    limits: { body: sizeOf(NGINX_BODY) },
    ...(Object.keys(timeouts).length > 0 && { timeouts }),
    ...(trusted.length > 0 && { trusted_proxies: trusted }),
    ...(isLocationRewritten(http, redirects, report) && { location: 'rewrite' }),
    ...(isQuiet && { access_log: false }),
  };
}

function trustedProxiesOf(http: Scope, servers: readonly Server[], report: Report): string[] {
  for (const { scope } of servers) {
    if (scope.own('listen').some(({ args }) => args.includes('proxy_protocol'))) continue;
    for (const own of scope.own('set_real_ip_from'))
      report.leftOut(own, 'trusted_proxies is for all servers: put it there if all may believe it');
  }
  const proxies = http.own('set_real_ip_from');
  const field = http.text('real_ip_header') ?? 'X-Real-IP';
  if (/^x-forwarded-for$/i.test(field))
    return proxies.map(({ args: [block = ''] }) => block).filter((block) => block !== 'unix:');
  if (field !== 'proxy_protocol')
    for (const one of proxies)
      report.leftOut(one, `trusted_proxies say their client in X-Forwarded-For, not in ${field}`);
  return [];
}

function isOff(directive: Directive | undefined): boolean {
  return directive?.args[0] === 'off';
}

/** It is one for all here: where some have it and others not, all have it, as is usual there. */
function isLocationRewritten(
  http: Scope,
  redirects: readonly (Directive | undefined)[],
  report: Report,
): boolean {
  const all = redirects.length === 0 ? [http.find('proxy_redirect')] : redirects;
  if (all.every(isOff)) return false;
  for (const one of all) {
    if (one === undefined || one.args[0] === 'default') continue;
    if (isOff(one))
      report.differs(one, 'location: rewrite is for all routes: others have no "off"');
    else
      report.leftOut(
        one,
        'location: rewrite puts the address of the client in the place of that of the backend, no other',
      );
  }
  return true;
}

/** Nothing is passed over without a word. */
function tellOfOthers(directives: readonly Directive[], report: Report): void {
  for (const directive of directives) {
    const { name, block = [] } = directive;
    if (name === 'upstream' || name === 'types' || name === 'events') continue;
    if (name === 'http' || name === 'server' || name === 'location') tellOfOthers(block, report);
    else if (
      !READ_DIRECTIVES.has(name) &&
      !report.isDone(directive) &&
      !NEEDLESS_DIRECTIVES.has(name) &&
      !isUpgradeMap(directive)
    ) {
      report.leftOut(
        directive,
        REASONS.get(name) ?? 'has no counterpart, or none that is known here',
      );
    }
  }
}

/** Upgrades are relayed without it. */
function isUpgradeMap({ name, args }: Directive): boolean {
  return (name === 'map' && args[0] === '$http_upgrade') || (name === 'gzip' && args[0] === 'off');
}
