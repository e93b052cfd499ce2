/** `listen` of all servers as listeners, each address once. */
import path from 'node:path';
import type { Directive } from './nginx-syntax.ts';
import type { Report } from './report.ts';
import type { Scope } from './scope.ts';
import type { Yaml } from './upstreams.ts';

export interface Server {
  readonly directive: Directive;
  readonly scope: Scope;
}

interface Address {
  readonly key: string;
  readonly where: Yaml;
  readonly flags: ReadonlySet<string>;
}

/** By address, in the order of the servers. */
export type Listeners = Map<
  string,
  { readonly where: Yaml; readonly servers: Server[]; readonly flags: Set<string> }
>;

export function listenersOf(servers: readonly Server[], report: Report): Listeners {
  const all: Listeners = new Map();
  for (const server of servers) {
    const listens = server.scope.own('listen');
    const addresses =
      listens.length === 0
        ? [addressOf('80', [])]
        : listens.map(({ args: [first = '', ...rest] }) => addressOf(first, rest));
    for (const [index, address] of addresses.entries()) {
      if (address === undefined) {
        report.leftOut(listens[index] as Directive, 'no address that a listener can have');
        continue;
      }
      const { key, where, flags } = address;
      const known = all.get(key) ?? { where, servers: [], flags: new Set<string>() };
      all.set(key, known);
      if (!known.servers.includes(server)) {
        // The first server is the one for names that no other has, unless another says so.
        if (flags.has('default_server') || flags.has('default')) known.servers.unshift(server);
        else known.servers.push(server);
      }
      for (const flag of flags) known.flags.add(flag);
    }
  }
  return all;
}

/** Both families of addresses are one listener here. */
function addressOf(text: string, options: readonly string[]): Address | undefined {
  const flags = new Set(options);
  if (text.startsWith('unix:')) {
    return { key: text, where: { unix: text.slice('unix:'.length) }, flags };
  }
  const [, six, host, port] = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d+)$/.exec(text) ?? [];
  const only = /^(?:\[([^\]]+)\]|([\w.*-]+))$/.exec(text);
  const number = Number(port ?? 80);
  const address = six ?? host ?? (port === undefined ? (only?.[1] ?? only?.[2]) : undefined);
  if (port === undefined && only === null) return undefined;
  const isAll = address === undefined || /^(\*|0\.0\.0\.0|::)$/.test(address);
  const where = isAll ? { port: number } : { port: number, host: address };
  return { key: isAll ? `*:${number}` : `${address}:${number}`, where, flags };
}

/** @param isRedirect all that its servers do is to send clients to https. */
export function listenerConfig(
  {
    where,
    servers,
    flags,
  }: {
    readonly where: Yaml;
    readonly servers: readonly Server[];
    readonly flags: ReadonlySet<string>;
  },
  isRedirect: boolean,
  folder: string,
  report: Report,
): Yaml {
  const [first] = servers;
  const isTls = flags.has('ssl') || first?.scope.text('ssl') === 'on';
  return {
    ...where,
    ...(isRedirect && { redirect_to_https: true }),
    ...(flags.has('proxy_protocol') && { proxy_protocol: { from: trustedIn(servers, report) } }),
    ...(isTls ? { tls: tlsOf(servers, folder, report) } : flags.has('http2') && { h2c: true }),
  };
}

/**
 * nginx takes the header of anyone, and the address in it for that of the client where `set_real_ip_from` has who sent it. Here one goes
 * with the other, so nobody from outside is believed until somebody says who may be.
 */
function trustedIn(servers: readonly Server[], report: Report): string[] {
  const listens = servers.flatMap(({ scope }) =>
    scope.own('listen').filter(({ args }) => args.includes('proxy_protocol')),
  );
  const from = servers.flatMap(({ scope }) =>
    scope
      .all('set_real_ip_from')
      .map(({ args: [block = ''] }) => (block === 'unix:' ? 'unix' : block)),
  );
  for (const listen of listens) {
    if (from.length === 0) {
      report.closed(
        listen,
        'nobody says whose address in the header is to be believed (set_real_ip_from), so only headers from loopback are taken: put the ' +
          'addresses of your load balancers into proxy_protocol.from',
      );
    } else if (servers.some(({ scope }) => scope.text('real_ip_header') !== 'proxy_protocol')) {
      report.differs(
        listen,
        'the address in the header is the client’s, without real_ip_header proxy_protocol as well',
      );
    }
  }
  return from.length === 0 ? ['127.0.0.1', '::1'] : [...new Set(from)];
}

function tlsOf(servers: readonly Server[], folder: string, report: Report): Yaml {
  const seen = new Set<string>();
  const certificates: Yaml[] = [];
  for (const { scope } of servers) {
    const keys = scope.all('ssl_certificate_key').map(({ args: [file = ''] }) => file);
    for (const [index, directive] of scope.all('ssl_certificate').entries()) {
      const [cert = ''] = directive.args;
      const key = keys[index] ?? '';
      if (cert.includes('$') || key.includes('$') || key === '') {
        report.leftOut(directive, 'a certificate that is found at run time, or has no key');
        continue;
      }
      const pair = { cert_file: path.resolve(folder, cert), key_file: path.resolve(folder, key) };
      if (seen.has(JSON.stringify(pair))) continue;
      seen.add(JSON.stringify(pair));
      certificates.push(pair);
    }
  }
  const scopes = servers.map(({ scope }) => scope);
  const asked = scopes
    .map((scope) => scope.find('ssl_verify_client'))
    .find((one) => one !== undefined);
  const authority = scopes
    .map((scope) => scope.text('ssl_client_certificate'))
    .find((one) => one !== undefined);
  const protocols = scopes[0]?.find('ssl_protocols')?.args ?? [];
  const isNew = protocols.length > 0 && protocols.every((one) => one === 'TLSv1.3');
  const mode = asked?.args[0] === 'on' ? 'require' : 'request';
  const isAsked = asked !== undefined && asked.args[0] !== 'off' && authority !== undefined;
  return {
    certificates,
    ...(isAsked && { client_certificates: { mode, ca_file: path.resolve(folder, authority) } }),
    ...(isNew && { min_version: '1.3' }),
  };
}
