/** The servers of nginx as routes, with the pools that they lead to. */
import { accessOf } from './access.ts';
import { type LocationPath, pathOfLocation } from './location-path.ts';
import type { Directive } from './nginx-syntax.ts';
import { proxied, type Surroundings } from './proxying.ts';
import { Scope } from './scope.ts';
import type { Yaml } from './upstreams.ts';
import { sizeOf, templateOf } from './values.ts';

export interface CommentedRoute {
  readonly comment: string;
  readonly route: Yaml;
}

/** nginx refuses larger bodies where nothing is said. */
export const NGINX_BODY = '1m';

export class Routes {
  readonly routes: CommentedRoute[] = [];
  readonly pools = new Map<string, Yaml>();
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
    const locations = locationsIn(server.block ?? [], scope);
    const named = new Map(locations.map((one) => [one.directive.args[0] ?? '', one.scope]));
    const root = { path: '/', prefix: '/', isExact: false };
    const hasRoot = locations.some(
      ({ directive: { args } }) => args.at(-1) === '/' && args[0] !== '=',
    );
    const answer = scope.own('return')[0];
    // It is answered before any location is looked for.
    if (answer !== undefined) this.#route(server, scope, root, hosts, named);
    else {
      for (const { directive, scope: inner } of locations) {
        const where = pathOfLocation(directive, this.#around.report);
        if (where !== undefined) this.#route(directive, inner, where, hosts, named);
      }
      if (!hasRoot && scope.own('root').length > 0) this.#noFiles(server, root, hosts);
    }
  }

  #route(
    block: Directive,
    scope: Scope,
    where: LocationPath,
    hosts: readonly string[],
    named: ReadonlyMap<string, Scope>,
  ): void {
    const { report } = this.#around;
    const [answer] = scope.own('return');
    const [pass] = [...scope.own('proxy_pass'), ...scope.own('grpc_pass')];
    const fallback = scope.own('try_files')[0];
    if (answer === undefined && pass === undefined) {
      const other = named.get(fallback?.args.at(-1) ?? '');
      if (fallback !== undefined && other !== undefined) {
        report.differs(fallback, 'no files are looked for: all requests take the last way');
        this.#route(block, other, where, hosts, new Map());
      } else if (this.#isFiles(block, scope)) this.#noFiles(block, where, hosts);
      return;
    }
    const common = { ...this.#commonTerms(scope), ...responseFields(scope, report) };
    if (answer !== undefined) {
      const action = answerOf(answer, scope, report);
      // It takes no body.
      const { limits: _, ...others } = common;
      if (action !== undefined) this.#push(block, hosts, where.path, { ...action, ...others });
      return;
    }
    const way = proxied(pass as Directive, scope, where, this.#around);
    if (way === undefined) return;
    const pool = this.#poolNamed(way.name, way.pool);
    this.#push(block, hosts, where.path, { pool, ...way.terms, ...common });
    if (way.exactTerms !== undefined) {
      this.#push(block, hosts, `=${where.path}`, { pool, ...way.exactTerms, ...common });
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

  #commonTerms(scope: Scope): Yaml {
    const { report } = this.#around;
    const size = scope.find('client_max_body_size');
    const body = sizeOf(size?.args[0] ?? NGINX_BODY);
    if (body === undefined && size !== undefined) report.leftOut(size, 'no size');
    const usual = sizeOf(NGINX_BODY);
    return {
      ...(body !== undefined && body !== usual && { limits: { body } }),
      ...this.#rateLimit(scope),
      ...accessOf(scope, report),
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
    const isTwice = this.routes.some(
      (other) =>
        JSON.stringify([other.route['host'], other.route['path']]) ===
        JSON.stringify([route.host, path]),
    );
    if (isTwice) this.#around.report.leftOut(block, 'another block is for the same host and path');
    else this.routes.push({ comment: ` ${file}:${line}: ${[name, ...args].join(' ')}`, route });
  }
}

interface Location {
  readonly directive: Directive;
  readonly scope: Scope;
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

function responseFields(scope: Scope, report: Surroundings['report']): Yaml {
  const add: Record<string, string> = {};
  for (const directive of scope.all('add_header')) {
    const [name = '', value = '', always] = directive.args;
    const text = templateOf(value);
    if (text === undefined) report.leftOut(directive, 'a variable that there is none for');
    else if (value !== '') add[name.toLowerCase()] = text;
    if (always === undefined && text !== undefined) {
      report.differs(directive, 'Fairlead adds it to every answer, as with "always"');
    }
  }
  const remove = scope.all('proxy_hide_header').map(({ args: [name = ''] }) => name.toLowerCase());
  const fields = {
    ...(Object.keys(add).length > 0 && { add }),
    ...(remove.length > 0 && { remove }),
  };
  return Object.keys(fields).length === 0 ? {} : { response_headers: fields };
}

/** `return 301 URL`, `return URL`, `return 200 text`, `return 404`. */
function answerOf(
  directive: Directive,
  scope: Scope,
  report: Surroundings['report'],
): Yaml | undefined {
  const [first = '', second] = directive.args;
  const status = /^\d{3}$/.test(first) ? Number(first) : 302;
  const text = /^\d{3}$/.test(first) ? second : first;
  if ([301, 302, 303, 307, 308].includes(status) && text !== undefined) {
    // The query stays by itself.
    const plain = text.replace(/\$request_uri$|\$uri(\$is_args\$args)?$/, '${path}');
    const to = templateOf(
      plain,
      new Map([
        ['path', '${path}'],
        ['server_name', scope.text('server_name') ?? ''],
      ]),
    );
    if (to !== undefined && /^(\/|https?:\/\/|\$\{(path|scheme)\})/.test(to))
      return { redirect: { to, status } };
    report.leftOut(directive, 'a target that can not be said');
    return undefined;
  }
  if (status < 200 || status > 599 || status === 444) {
    report.leftOut(directive, 'a status that no answer has');
    return undefined;
  }
  if (text?.includes('$')) {
    report.leftOut(directive, 'a text with variables');
    return undefined;
  }
  const type = scope.text('default_type') ?? 'text/plain';
  const body =
    text === undefined || text === '' ? {} : { body: text, headers: { 'content-type': type } };
  return { respond: { status, ...body } };
}
