/** What a health check asks, where, and which answers it is content with. */
import { isDeepStrictEqual } from 'node:util';
import type {
  BackendAddress,
  HealthCheckMethod,
  HealthCheckSettings,
} from '../../config/settings.ts';

/** Of the settings of checks, what one check needs; the method is settled. */
export interface ProbeRequest
  extends Pick<
    HealthCheckSettings,
    | 'path'
    | 'host'
    | 'port'
    | 'headers'
    | 'expectStatus'
    | 'expectBody'
    | 'service'
    | 'timeoutMs'
    | 'isLenient'
    | 'protocol'
    | 'proxyVersion'
    | 'tls'
  > {
  readonly address: BackendAddress;
  readonly method: CheckMethod;
}

/** `auto` begins with http. */
export type CheckMethod = Exclude<HealthCheckMethod, 'auto'>;

export function firstMethod(method: HealthCheckMethod): CheckMethod {
  return method === 'auto' ? 'http' : method;
}

const OWN_FIELDS = [
  ['User-Agent', 'fairlead-health-check'],
  ['Accept', '*/*'],
] as const;

/** Where the connection of a check goes. */
export function checkedAddress({ address, port }: ProbeRequest): BackendAddress {
  if (port === 0 || port === address.port || address.socketPath !== '') return address;
  const { tls } = address;
  const name = address.authority.replace(/:\d+$/, '');
  const authority = port === (tls ? 443 : 80) ? name : `${name}:${port}`;
  return { ...address, port, authority };
}

/** Whom it asks for. */
export function checkHost(request: ProbeRequest): string {
  return request.host === '' ? checkedAddress(request).authority : request.host;
}

/** But for the Host field. */
export function checkFields({ headers }: ProbeRequest): (readonly [name: string, value: string])[] {
  const given = new Set(headers.map(([name]) => name.toLowerCase()));
  return [...OWN_FIELDS.filter(([name]) => !given.has(name.toLowerCase())), ...headers];
}

/** The whole request, Latin-1. */
export function checkRequest(request: ProbeRequest): string {
  const fields = checkFields(request).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${request.path} HTTP/1.1\r\nHost: ${checkHost(request)}\r\n${fields.join('')}Connection: close\r\n\r\n`;
}

export function isExpected(status: number, { expectStatus }: ProbeRequest): boolean {
  return expectStatus.some(([from, to]) => from <= status && status <= to);
}

/** `GET http://localhost:3001/health` */
export function describeCheck(request: ProbeRequest): string {
  const { method, path, service } = request;
  const ofService = service === '' ? '' : ` of ${service}`;
  const { tls, url, host, port, socketPath } = checkedAddress(request);
  if (socketPath !== '') {
    if (method === 'grpc') return `gRPC check${ofService} at ${url}`;
    return method === 'http' ? `GET ${path} at ${url}` : `connect to ${url}`;
  }
  // Neither the path of a backend, which is of its requests, nor the name that it was found by.
  const name = host.includes(':') ? `[${host}]` : host;
  const isDefault = port === (tls ? 443 : 80);
  const origin = `${tls ? 'https' : 'http'}://${name}${isDefault ? '' : `:${port}`}`;
  if (method === 'http') return `GET ${origin}${path}`;
  if (method === 'grpc') return `gRPC check${ofService} at ${origin}`;
  return `${tls ? 'TLS' : 'TCP'} connect to ${origin}`;
}

/** What one finds out says nothing about the other. */
export function isOtherCheck(a: HealthCheckSettings, b: HealthCheckSettings): boolean {
  return question(a) !== question(b) || !isDeepStrictEqual(a.tls, b.tls);
}

function question(settings: HealthCheckSettings): string {
  const { method, path, host, port, headers, expectStatus, expectBody } = settings;
  const { service, isLenient, protocol, proxyVersion } = settings;
  return JSON.stringify([
    method,
    path,
    host,
    port,
    headers,
    expectStatus,
    expectBody,
    service,
    isLenient,
    protocol,
    proxyVersion,
  ]);
}

export function isSameCheck(a: HealthCheckSettings, b: HealthCheckSettings): boolean {
  return (
    !isOtherCheck(a, b) &&
    a.intervalMs === b.intervalMs &&
    a.downIntervalMs === b.downIntervalMs &&
    a.timeoutMs === b.timeoutMs &&
    a.rise === b.rise &&
    a.fall === b.fall
  );
}
