/**
 * What a proxy says of its client at the beginning of a connection: the PROXY protocol, versions 1 and 2
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Strict: a header that could be read in two ways is none.
 */

/** Both ends of the client's connection to the proxy. Addresses without brackets; IPv4 in its own form. */
export interface ProxiedClient {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** More bytes are needed. */
export const HEADER_MORE = 0;
/** It is no such header. */
export const HEADER_BAD = -1;

export interface ProxyHeader {
  /** So many bytes; or one of the two above. */
  readonly length: number;
  /** Null: the connection is the proxy's own, or has no addresses that mean anything here. */
  readonly client: ProxiedClient | null;
}

const MORE: ProxyHeader = { length: HEADER_MORE, client: null };
const BAD: ProxyHeader = { length: HEADER_BAD, client: null };

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const FIXED_BYTES = SIGNATURE.length + 4;
const V1_START = 'PROXY ';
/** §2.1: of a line, with its end. */
const V1_BYTES = 107;
/** With its extensions, among which may be the certificate of a client. As much as HAProxy takes by default. */
export const MOST_HEADER_BYTES = 16 * 1024;

const OCTET = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(\\.${OCTET}){3}$`);

const VERSION_2 = 0x20;
const LOCAL = 0;
const PROXY = 1;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
/** Of the addresses of each family: none, IPv4, IPv6, unix. */
const ADDRESS_BYTES: readonly number[] = [0, 12, 36, 216];
/** None, stream, datagram. */
const MOST_TRANSPORT = 2;

const LF = 0x0a;
const CR = 0x0d;

/** Reads what stands at the beginning of `bytes`. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length === 0) return MORE;
  return bytes[0] === CR ? readVersion2(bytes) : readVersion1(bytes);
}

// ── Version 1, §2.1: a line of text ─────────────────────────────────────────────────────────────────────────────────

function readVersion1(bytes: Buffer): ProxyHeader {
  const start = bytes.subarray(0, V1_START.length).toString('latin1');
  if (!V1_START.startsWith(start)) return BAD;
  const lineFeed = bytes.subarray(0, V1_BYTES).indexOf(LF);
  if (lineFeed === -1) return bytes.length < V1_BYTES ? MORE : BAD;
  if (bytes[lineFeed - 1] !== CR) return BAD;
  const length = lineFeed + 1;
  const [, protocol, ...parts] = bytes.latin1Slice(0, lineFeed - 1).split(' ');
  if (protocol === 'UNKNOWN') return { length, client: null };
  const [source = '', destination = '', sourcePort = '', destinationPort = ''] = parts;
  if (parts.length !== 4) return BAD;
  const address = readAddress(protocol, source);
  const localAddress = readAddress(protocol, destination);
  const port = readPort(sourcePort);
  const localPort = readPort(destinationPort);
  if (address === null || localAddress === null || port === null || localPort === null) return BAD;
  return { length, client: { address, port, localAddress, localPort } };
}

function readAddress(protocol: string | undefined, text: string): string | null {
  if (protocol === 'TCP4') return IPV4.test(text) ? text : null;
  const isIPv6 = /^[\da-f:.]+$/i.test(text) && URL.canParse(`http://[${text}]/`);
  return protocol === 'TCP6' && isIPv6 ? shortAddress(text) : null;
}

function readPort(text: string): number | null {
  if (!/^(0|[1-9]\d{0,4})$/.test(text)) return null;
  const port = Number(text);
  return port <= 65_535 ? port : null;
}

// ── Version 2, §2.2: bytes ──────────────────────────────────────────────────────────────────────────────────────────

function readVersion2(bytes: Buffer): ProxyHeader {
  const known = Math.min(bytes.length, SIGNATURE.length);
  if (bytes.compare(SIGNATURE, 0, known, 0, known) !== 0) return BAD;
  if (bytes.length < FIXED_BYTES) return MORE;
  const command = (bytes[SIGNATURE.length] as number) - VERSION_2;
  if (command !== LOCAL && command !== PROXY) return BAD;
  const protocol = bytes[SIGNATURE.length + 1] as number;
  const addressBytes = ADDRESS_BYTES[protocol >> 4];
  if (addressBytes === undefined || (protocol & 0xf) > MOST_TRANSPORT) return BAD;
  const rest = bytes.readUInt16BE(SIGNATURE.length + 2);
  const length = FIXED_BYTES + rest;
  // Of a connection of the proxy's own, whatever stands there is passed over.
  if (length > MOST_HEADER_BYTES || (command === PROXY && rest < addressBytes)) return BAD;
  if (bytes.length < length) return MORE;
  const client = command === LOCAL ? null : readClient(bytes, protocol);
  return { length, client };
}

/** What is not TCP says nothing of the connection that is read. */
function readClient(bytes: Buffer, protocol: number): ProxiedClient | null {
  if (protocol !== TCP_OVER_IPV4 && protocol !== TCP_OVER_IPV6) return null;
  const size = protocol === TCP_OVER_IPV4 ? 4 : 16;
  const read = protocol === TCP_OVER_IPV4 ? readIPv4 : readIPv6;
  const ports = FIXED_BYTES + 2 * size;
  return {
    address: read(bytes, FIXED_BYTES),
    port: bytes.readUInt16BE(ports),
    localAddress: read(bytes, FIXED_BYTES + size),
    localPort: bytes.readUInt16BE(ports + 2),
  };
}

function readIPv4(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

function readIPv6(bytes: Buffer, at: number): string {
  const groups: string[] = [];
  for (let group = 0; group < 8; group++)
    groups.push(bytes.readUInt16BE(at + 2 * group).toString(16));
  return shortAddress(groups.join(':'));
}

/** An address of IPv6 has one form (RFC 5952): what goes by the client must know it again. One of IPv4 in it has its own. */
function shortAddress(text: string): string {
  const short = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short);
  if (mapped === null) return short;
  const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`;
}
