/** The servers of nginx as routes, with the pools that they lead to. */
import { accessOf, CLOSED } from './access.ts';
import { answerOf, responseFields } from './answers.ts';
import { type LocationPath, pathOfLocation } from './location-path.ts';
import type { Directive } from './nginx-syntax.ts';
import { asNginxPrefers, pathKey } from './precedence.ts';
import { proxied, type Surroundings } from './proxying.ts';
import { refusalOf, routesBeside } from './refusals.ts';
import type { Report } from './report.ts';
import { Scope } from './scope.ts';
import type { Yaml } from './upstreams.ts';
import { sizeOf } from './values.ts';

export interface CommentedRoute {
  readonly comment: string;
  readonly route: Yaml;
}

/** nginx refuses larger bodies where nothing is said. */
export const NGINX_BODY = '1m';

export class Routes {
  readonly routes: CommentedRoute[] = [];
  readonly pools = new Map<string, Yaml>();
  /** The `proxy_redirect` of each location that leads to backends, where it has one. */
  readonly redirects: (Directive | undefined)[] = [];
  readonly #around: Surroundings;
  readonly #zones: ReadonlyMap<string, Directive>;

  constructor(around: Surroundings, zones: readonly Directive[]) {
    this.#around = around;
    this.#zones = new Map(
      zones.map((zone) => [/zone=([^:\s]+)/.exec(zone.args.join(' '))?.[1] ?? '', zone]),
    );
  }

  /** @param hosts none: any host. */
  add(server: Directive, scope: Scope, hosts: readonly string[]): void {
    const { report } = this.#around;
    const locations = locationsIn(server.block ?? [], scope);
    const named = new Map(locations.map((one) => [one.directive.args[0] ?? '', one.scope]));
    const root: LocationPath = { path: '/', prefix: '/', isExact: false, kind: '' };
    const hasRoot = locations.some(
      ({ directive: { args } }) => args.at(-1) === '/' && args[0] !== '=',
    );
    const places = locations.flatMap(({ directive, scope: inner }) => {
      const where = pathOfLocation(directive, inner, report);
      const isTop = (server.block ?? []).includes(directive);
      return where === undefined ? [] : [{ directive, scope: inner, where, isTop }];
    });
    const around = { scope, hosts, named, paths: new Set(places.map(({ where }) => where.path)) };
    // It is answered before any location is looked for.
    if (scope.own('return').length > 0)
      this.#route({ directive: server, scope, where: root }, around);
    else {
      for (const place of asNginxPrefers(places, report)) this.#route(place, around);
      if (!hasRoot && scope.own('root').length > 0) this.#noFiles(server, root, hosts);
    }
  }

  /** @param before of the location that has sent its requests on to this scope. */
  #route(place: Place, around: ServerAround, before?: Scope): void {
    const { directive: block, scope, where } = place;
    const { report } = this.#around;
    const { hosts } = around;
    const [answer] = scope.own('return');
    const [pass] = [...scope.own('proxy_pass'), ...scope.own('grpc_pass')];
    const fallback = scope.own('try_files')[0];
    if (scope.own('internal').length > 0) {
      this.#push(block, hosts, where.path, { respond: { status: 404 } });
      return;
    }
    if (answer === undefined && pass === undefined) {
      const other = around.named.get(fallback?.args.at(-1) ?? '');
      if (fallback !== undefined && other !== undefined) {
        report.differs(fallback, 'no files are looked for: all requests take the last way');
        const onlyThis = { ...around, named: new Map() };
        this.#route({ directive: block, scope: other, where }, onlyThis, scope);
      } else if (this.#isFiles(block, scope)) this.#noFiles(block, where, hosts);
      return;
    }
    const scopes = [...new Set([around.scope, ...(before === undefined ? [] : [before]), scope])];
    const refusal = refusalOf(scopes, report);
    const push = (path: string, terms: Yaml, refused = refusal): void => {
      if (refused.kind === 'closed') this.#push(block, hosts, path, { ...terms, ...CLOSED });
      else for (const one of routesBeside(terms, refused)) this.#push(block, hosts, path, one);
    };
    const common = { ...this.#commonTerms(scope, before), ...responseFields(scope, report) };
    if (answer !== undefined) {
      const action = answerOf(answer, scope, report);
      // It takes no body.
      const { limits: _, ...others } = common;
      if (action === undefined) this.#notSaid(block, where, hosts);
      else push(where.path, { ...action, ...others });
      tellOfSlash(place, around, report);
      return;
    }
    const way = proxied(pass as Directive, scope, where, this.#around);
    if (way === undefined) {
      this.#notSaid(block, where, hosts);
      return;
    }
    if (pass?.name === 'proxy_pass') this.redirects.push(scope.find('proxy_redirect'));
    const pool = this.#poolNamed(way.name, way.pool);
    push(where.path, { pool, ...way.terms, ...common });
    if (way.exactTerms !== undefined) {
      push(`=${where.path}`, { pool, ...way.exactTerms, ...common });
    }
    if (!isSentToSlash(place, before)) tellOfSlash(place, around, report);
    else if (!hasOwnWay(where, around)) {
      const redirect = { to: where.path, status: 301 };
      const terms = { redirect, ...responseFields(scope, report) };
      push(`=${where.path.slice(0, -1)}`, terms, refusalOf([around.scope], report));
    }
  }

  #isFiles(block: Directive, scope: Scope): boolean {
    const others = ['fastcgi_pass', 'uwsgi_pass', 'scgi_pass'].flatMap((name) => scope.own(name));
    return (
      block.name === 'location' &&
      (others.length > 0 || ['root', 'alias', 'try_files'].some((name) => scope.find(name)))
    );
  }

  /** Else a route for more would take its requests to a backend that never saw them. */
  #noFiles(block: Directive, { path }: LocationPath, hosts: readonly string[]): void {
    this.#around.report.leftOut(
      block,
      'Fairlead serves no files and speaks HTTP alone to backends: it answers 404 here',
    );
    this.#push(block, hosts, path, { respond: { status: 404 } });
  }

  /** As with files: nothing of it may get elsewhere. */
  #notSaid(block: Directive, { path }: LocationPath, hosts: readonly string[]): void {
    this.#around.report.leftOut(block, 'it answers 404 here until it is written anew');
    this.#push(block, hosts, path, { respond: { status: 404 } });
  }

  #commonTerms(scope: Scope, before: Scope | undefined): Yaml {
    const { report } = this.#around;
    const size = scope.find('client_max_body_size');
    const body = sizeOf(size?.args[0] ?? NGINX_BODY);
    if (body === undefined && size !== undefined) report.leftOut(size, 'no size');
    const usual = sizeOf(NGINX_BODY);
    return {
      ...(body !== undefined && body !== usual && { limits: { body } }),
      ...this.#rateLimit(scope),
      ...accessOf(before === undefined ? [scope] : [before, scope], report),
    };
  }

  #rateLimit(scope: Scope): Yaml {
    const { report } = this.#around;
    const [limit, ...more] = scope.all('limit_req');
    if (limit === undefined) return {};
    for (const other of more) report.leftOut(other, 'a route has one limit');
    const words = limit.args.join(' ');
    const zone = this.#zones.get(/zone=(\S+)/.exec(words)?.[1] ?? '');
    const key = zone?.args[0] ?? '';
    const [, rate = '', unit = ''] = /rate=(\d+)r\/([sm])/.exec(zone?.args.join(' ') ?? '') ?? [];
    const [, kind, name = ''] = /^\$(http|cookie)_(\w+)$/.exec(key) ?? [];
    const isAddress = /^\$(binary_)?remote_addr$/.test(key);
    if (rate === '' || (!isAddress && kind === undefined)) {
      report.leftOut(limit, 'clients can be told apart by address, by a field and by a cookie');
      return {};
    }
    const burst = Number(/burst=(\d+)/.exec(words)?.[1] ?? 0) + 1;
    if (burst > 1 && !/nodelay/.test(words)) {
      report.differs(limit, 'nginx lets a burst wait, Fairlead lets it pass at once');
    }
    const by = isAddress
      ? {}
      : kind === 'http'
        ? { by: 'header', name: name.replaceAll('_', '-') }
        : { by: 'cookie', name };
    return {
      rate_limit: { rate: Number(rate), ...(unit === 'm' && { per: '1m' }), burst, ...by },
    };
  }

  #poolNamed(wanted: string, pool: Yaml): string {
    const base =
      wanted
        .toLowerCase()
        .replaceAll(/[^a-z\d_-]+/g, '-')
        .replaceAll(/^[^a-z\d]+|-+$/g, '')
        .slice(0, 60) || 'pool';
    const text = JSON.stringify(pool);
    for (let number = 1; ; number++) {
      // `default` is what stands at the top level.
      const name = number === 1 && base !== 'default' ? base : `${base}-${number}`;
      const known = this.pools.get(name);
      if (known !== undefined && JSON.stringify(known) !== text) continue;
      this.pools.set(name, pool);
      return name;
    }
  }

  #push(block: Directive, hosts: readonly string[], path: string, terms: Yaml): void {
    const { name, args, file, line } = block;
    const host = hosts.length === 0 ? {} : { host: hosts.length === 1 ? hosts[0] : hosts };
    const route = { ...host, path, ...terms };
    const isTwice = this.routes.some((other) => matchText(other.route) === matchText(route));
    if (isTwice) this.#around.report.leftOut(block, 'another block is for the same host and path');
    else this.routes.push({ comment: ` ${file}:${line}: ${[name, ...args].join(' ')}`, route });
  }
}

interface Location {
  readonly directive: Directive;
  readonly scope: Scope;
}

interface Place extends Location {
  readonly where: LocationPath;
}

/** What is the same for all locations of a server. */
interface ServerAround {
  readonly scope: Scope;
  readonly hosts: readonly string[];
  readonly named: ReadonlyMap<string, Scope>;
  readonly paths: ReadonlySet<string>;
}

/** The same for two routes for the same requests: a slash at the end of a prefix means nothing. */
function matchText({ host, path, method, headers }: Yaml): string {
  return JSON.stringify([host, pathKey(String(path)), method, headers]);
}

/** nginx sends `/x` to `/x/` where that leads to backends, before it looks at anything else. */
function isSentToSlash({ where: { kind, path } }: Place, before: Scope | undefined): boolean {
  return before === undefined && (kind === '' || kind === '^~') && !path.includes('${');
}

/** `/x` is not for `/x/` to care about. */
function hasOwnWay({ path, isExact }: LocationPath, { paths }: ServerAround): boolean {
  const bare = path.slice(0, -1);
  return isExact || bare === '' || !path.endsWith('/') || paths.has(bare) || paths.has(`=${bare}`);
}

function tellOfSlash({ directive, where }: Place, around: ServerAround, report: Report): void {
  if (hasOwnWay(where, around)) return;
  const bare = where.path.slice(0, -1);
  report.differs(
    directive,
    `a route for ${where.path} is for ${bare}, too, which another location has in nginx`,
  );
}

/** Those within others, too. */
function locationsIn(directives: readonly Directive[], outer: Scope): Location[] {
  return directives
    .filter(({ name, block }) => name === 'location' && block !== undefined)
    .flatMap((directive) => {
      const scope = new Scope(directive.block ?? [], outer);
      return [{ directive, scope }, ...locationsIn(directive.block ?? [], scope)];
    });
}
