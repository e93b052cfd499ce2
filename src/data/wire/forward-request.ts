/**
 * From the client's head to the head that a backend gets (protocol.md, "Forwarding").
 *
 * Fields that pass are copied as they came: whole runs of raw lines, so order, case, duplicates and latin-1 bytes survive
 * and a typical request costs two slices. Hop-by-hop fields go first, then ours are added: a client can't name a field in
 * Connection to get rid of what the proxy sets.
 */
import {
  FIELD_AUTHORIZATION,
  FIELD_CLIENT_CERTIFICATE,
  FIELD_CONTENT_LENGTH,
  FIELD_EXPECT,
  FIELD_FORWARDED,
  FIELD_FORWARDED_FOR,
  FIELD_FORWARDED_HOST,
  FIELD_FORWARDED_OTHER,
  FIELD_FORWARDED_PORT,
  FIELD_FORWARDED_PROTO,
  FIELD_HOST,
  FIELD_MAX_FORWARDS,
  FIELD_REQUEST_ID,
  FIELD_TE,
  FIELD_TRAILER,
  FIELD_UNDERSCORE_TWIN,
  HAS_REQUEST_RULE,
  HOP_BY_HOP,
  TRAITS,
} from './fields.ts';
import { BODY_CHUNKED } from './framing.ts';
import { FIRST_LINE, firstOf, type Head, hasToken } from './head.ts';
import type { RequestFacts, RequestRules } from './request.ts';

const ZERO = 0x30;

/** What the settings say of every request; one object per snapshot. */
export interface ForwardRules extends RequestRules {
  readonly sendsXForwarded: boolean;
  /** Also RFC 7239 Forwarded. */
  readonly sendsForwarded: boolean;
  /** Redirects to a backend's own address are rewritten: see location.ts. */
  readonly rewritesLocation: boolean;
}

/** What the forwarded head needs to know of the connection it came on; one object per client connection. */
export class ForwardContext {
  /** Of the peer, IPv6 without brackets. */
  readonly peerAddress: string;
  readonly scheme: 'http' | 'https';
  /** The peer is a trusted proxy: its forwarded fields are believed and extended. */
  readonly isTrusted: boolean;
  readonly rules: ForwardRules;
  /** What is told of the client's certificate; empty where it was not asked for. */
  readonly clientFields: string;
  /** What the client speaks, for the log; of HTTP/1 the newer one. */
  readonly protocol: 'HTTP/1.1' | 'HTTP/2.0';
  readonly #lastLines11: string;
  readonly #lastLines10: string;
  #lastHost = '';
  #lastFields = '';

  constructor(
    peerAddress: string,
    scheme: 'http' | 'https',
    isTrusted: boolean,
    rules: ForwardRules,
    clientFields = '',
    protocol: 'HTTP/1.1' | 'HTTP/2.0' = 'HTTP/1.1',
  ) {
    this.peerAddress = peerAddress;
    this.scheme = scheme;
    this.isTrusted = isTrusted;
    this.rules = rules;
    this.clientFields = clientFields;
    this.protocol = protocol;
    const via = (version: string): string =>
      rules.viaName === '' ? '' : `Via: ${version} ${rules.viaName}\r\n`;
    this.#lastLines11 = clientFields + via(protocol.slice('HTTP/'.length));
    this.#lastLines10 = clientFields + via('1.0');
  }

  /** Those that are the same in all requests; Via has the version that the message was received in: RFC 9110 §7.6.3. */
  lastLines(versionMinor: number): string {
    return versionMinor === 1 ? this.#lastLines11 : this.#lastLines10;
  }

  /** The X-Forwarded fields of an untrusted peer's request for `host`; a connection asks for one host, as a rule. */
  xForwarded(host: string): string {
    if (host !== this.#lastHost) {
      this.#lastHost = host;
      this.#lastFields = this.rules.sendsXForwarded
        ? `X-Forwarded-For: ${this.peerAddress}\r\nX-Forwarded-Proto: ${this.scheme}\r\nX-Forwarded-Port: ${portOf(host, this.scheme)}\r\nX-Forwarded-Host: ${host}\r\n`
        : '';
    }
    return this.#lastFields;
  }
}

/** The port that the client means: behind a port mapping, it is not the one that is listened on. */
function portOf(host: string | null, scheme: string): string {
  if (host !== null) {
    const colon = host.lastIndexOf(':');
    if (colon > host.lastIndexOf(']') && colon < host.length - 1) return host.slice(colon + 1);
  }
  return isSecureScheme(scheme) ? '443' : '80';
}

/** @param said ours, or a value of X-Forwarded-Proto: some say the scheme of a WebSocket as its client wrote it. */
export function isSecureScheme(said: string): boolean {
  const scheme = firstOf(said).toLowerCase();
  return scheme === 'https' || scheme === 'wss';
}

/** A head in parts: the Host line (if any) and the framing line go between and after them. */
export interface ForwardedRequest {
  /** The request line; empty where `fields` begins with it. */
  readonly startLine: string;
  /** Whole field lines, each ended by CR LF, without Transfer-Encoding; Content-Length is there when it was given. */
  readonly fields: string;
  /** A Host line has to be sent between `startLine` and `fields`. */
  readonly needsHost: boolean;
}

/** RFC 9110 §7.6.2: only these two methods heed Max-Forwards; TRACE is refused earlier. */
function countsForwards(facts: RequestFacts): boolean {
  return facts.method === 'OPTIONS' && facts.maxForwards > 0;
}

/** What is forwarded otherwise than it came, beside the fields. */
export interface Rewriting {
  /** The Host field is replaced per backend, so the client's is left out. */
  readonly dropsHost: boolean;
  /** Its credentials were for us. */
  readonly dropsAuthorization: boolean;
  /** The path of the facts is not that of the head. */
  readonly hasOtherPath: boolean;
}

/**
 * Whether a field goes on to the backend at all, unless the Connection field names it. Routes go by the same: what the backend does
 * not see has not been said.
 */
export function passesOn(id: number, facts: RequestFacts, isTrusted: boolean): boolean {
  switch (id) {
    case FIELD_TRAILER:
      return facts.bodyKind === BODY_CHUNKED;
    case FIELD_EXPECT:
      return facts.versionMinor === 1;
    case FIELD_REQUEST_ID:
      return facts.requestId !== null;
    case FIELD_CLIENT_CERTIFICATE:
    case FIELD_FORWARDED_FOR:
    case FIELD_FORWARDED_PROTO:
    case FIELD_FORWARDED_HOST:
    case FIELD_FORWARDED_PORT:
    case FIELD_FORWARDED_OTHER:
    case FIELD_FORWARDED:
      return isTrusted;
    case FIELD_UNDERSCORE_TWIN:
      return false;
    default:
      return ((TRAITS[id] as number) & HOP_BY_HOP) === 0;
  }
}

export function forwardRequest(
  head: Head,
  facts: RequestFacts,
  context: ForwardContext,
  requestId: string,
  { dropsHost, dropsAuthorization, hasOtherPath }: Rewriting,
): ForwardedRequest {
  const { rules } = context;
  const needsHost = dropsHost || facts.replacesHost || facts.host === null;
  // A request line in origin form goes out as it came, in one piece with the fields behind it.
  const keepsLine = !needsHost && !hasOtherPath && head.keepsFirstLine;
  let fields = '';
  /** The first field, or the first line, that passes and is not copied yet. */
  let runStart = keepsLine ? FIRST_LINE : 0;
  let acceptsTrailers = false;
  let proto: string | null = null;
  let seenHost = false;
  let seenPort = false;
  for (let field = 0; field < head.fieldCount; field++) {
    const id = head.id(field);
    const traits = TRAITS[id] as number;
    let isKept = (traits & HOP_BY_HOP) === 0;
    if ((traits & HAS_REQUEST_RULE) !== 0) {
      isKept = passesOn(id, facts, context.isTrusted);
      switch (id) {
        case FIELD_HOST:
          isKept = !needsHost;
          break;
        case FIELD_CONTENT_LENGTH:
          // Only `Content-Length: 0012` and the like are written anew (below): the value is checked, digits only.
          isKept = head.valueLength(field) === 1 || head.valueCode(field, 0) !== ZERO;
          break;
        case FIELD_AUTHORIZATION:
          isKept = !dropsAuthorization;
          break;
        case FIELD_TE:
          acceptsTrailers ||= hasToken(head.value(field), 'trailers');
          break;
        case FIELD_MAX_FORWARDS:
          isKept = !countsForwards(facts);
          break;
        case FIELD_CLIENT_CERTIFICATE:
          // Ours say it.
          isKept &&= context.clientFields === '';
          break;
        case FIELD_FORWARDED_PROTO:
          if (isKept) proto ??= head.value(field);
          break;
        case FIELD_FORWARDED_HOST:
          seenHost ||= isKept;
          break;
        case FIELD_FORWARDED_PORT:
          seenPort ||= isKept;
          break;
        case FIELD_FORWARDED_FOR:
          // Its values are gathered below.
          isKept &&= !rules.sendsXForwarded;
          break;
        default:
      }
    }
    if (isKept && facts.nominated !== null) {
      isKept = !isNominated(head, field, facts.nominated);
    }
    if (isKept) continue;
    if (field > runStart) fields += head.lines(runStart, field);
    runStart = field + 1;
    if (id === FIELD_CONTENT_LENGTH) fields += `Content-Length: ${facts.contentLength}\r\n`;
  }
  if (head.fieldCount > runStart) fields += head.lines(runStart, head.fieldCount);

  if (isCommon(facts, context)) {
    // Joined from as few parts as can be.
    fields += `${context.xForwarded(facts.host as string)}X-Request-Id: ${requestId}\r\n${context.lastLines(1)}`;
  } else {
    if (rules.sendsXForwarded) {
      const chain = context.isTrusted ? forwardedForChain(head) : '';
      fields += `X-Forwarded-For: ${chain}${context.peerAddress}\r\n`;
      if (proto === null) fields += `X-Forwarded-Proto: ${context.scheme}\r\n`;
      if (!seenPort) {
        fields += `X-Forwarded-Port: ${portOf(facts.host, proto ?? context.scheme)}\r\n`;
      }
      if (!seenHost && facts.host !== null) fields += `X-Forwarded-Host: ${facts.host}\r\n`;
    }
    if (rules.sendsForwarded) fields += forwardedField(facts, context);
    if (facts.requestId === null) fields += `X-Request-Id: ${requestId}\r\n`;
    if (countsForwards(facts)) fields += `Max-Forwards: ${facts.maxForwards - 1}\r\n`;
    fields += context.lastLines(facts.versionMinor);
  }
  if (facts.upgrade !== '') {
    fields += `Connection: Upgrade\r\nUpgrade: ${facts.upgrade}\r\n`;
  } else if (acceptsTrailers) {
    // RFC 9110 §10.1.4: TE is for one hop and must be named in Connection.
    fields += 'TE: trailers\r\nConnection: TE\r\n';
  }
  const startLine = keepsLine ? '' : `${facts.method} ${facts.path} HTTP/1.1\r\n`;
  return { startLine, fields, needsHost };
}

/** @param lines whole field lines, which come last: nothing of the client can take them away. */
export function withFields(forwarded: ForwardedRequest, lines: string): ForwardedRequest {
  return withFieldsOf(forwarded, forwarded.fields + lines);
}

/** @param fields in the place of those that it has. */
export function withFieldsOf(
  { startLine, needsHost }: ForwardedRequest,
  fields: string,
): ForwardedRequest {
  return { startLine, fields, needsHost };
}

/** Nearly every request: what is added to it differs by host and request id alone. */
function isCommon(facts: RequestFacts, context: ForwardContext): boolean {
  return (
    facts.requestId === null &&
    facts.host !== null &&
    facts.versionMinor === 1 &&
    facts.maxForwards === -1 &&
    !context.isTrusted &&
    !context.rules.sendsForwarded
  );
}

/** Whether a Connection field has named this one as one for this hop (RFC 9110 §7.6.1). */
export function isNominated(head: Head, field: number, nominated: ReadonlySet<string>): boolean {
  return nominated.has(head.name(field).toLowerCase());
}

/** All X-Forwarded-For values in order, joined, ready for one more. */
function forwardedForChain(head: Head): string {
  let chain = '';
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.id(field) !== FIELD_FORWARDED_FOR) continue;
    const value = head.value(field);
    if (value !== '') chain += `${value}, `;
  }
  return chain;
}

/** RFC 7239 §4; an IPv6 address is bracketed and quoted (§6). */
function forwardedField(facts: RequestFacts, context: ForwardContext): string {
  const node = context.peerAddress.includes(':')
    ? `"[${context.peerAddress}]"`
    : context.peerAddress;
  const host = facts.host === null ? '' : `;host="${facts.host}"`;
  return `Forwarded: for=${node}${host};proto=${context.scheme}\r\n`;
}
