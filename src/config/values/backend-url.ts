/**
 * The URL of a backend, from a config, a command line or the admin API: one parser, so that the same text is the same
 * backend everywhere. A backend is a scheme, a host and a port, and perhaps a path that stands before those of requests; or
 * `unix:` and the path of a socket. What would silently be dropped (a query, a password) is refused.
 */
import { isIPv4 } from 'node:net';
import { posix } from 'node:path';
import { domainToASCII } from 'node:url';
import type { BackendAddress } from '../settings.ts';
import { canonicalIPv6, isHostName } from './network-address.ts';

export type BackendUrlResult =
  | { readonly ok: true; readonly address: BackendAddress }
  | { readonly ok: false; readonly reason: string };

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;
const HOST_AND_PORT = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/;
const UNIX = /^unix:/i;
/** Of `sun_path`, with its end. */
const LONGEST_SOCKET_PATH = 107;
const BAD_CHARACTER = /[\s\\\p{Cc}]/u;

const LOGIN = 'must not hold a user name or password';

/** A refused URL for messages and logs: without what is in front of the last `@`, which may be a password. */
export function shownUrl(text: string): string {
  return JSON.stringify(text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1***@'));
}

function refused(reason: string): BackendUrlResult {
  return { ok: false, reason };
}

/** `http://:3001` and `:3001` mean localhost; `localhost:3001` means http. Never throws. */
export function parseBackendUrl(text: string): BackendUrlResult {
  if (text === '') return refused('is empty');
  if (text.length > 2048) return refused('is longer than 2048 characters');
  if (BAD_CHARACTER.test(text))
    return refused('has white space, a control character or a backslash in it');

  if (UNIX.test(text)) return parseUnix(text.slice('unix:'.length));
  if (/^(?:https?\+|https?:\/\/)unix:/i.test(text) || /^[./~].*\.sock$/.test(text)) {
    return refused('is none of a Unix socket, which is written unix:/run/app.sock');
  }
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    return refused(`has the scheme "${scheme}"; only http, https and unix are possible`);
  }
  const rest = scheme === undefined ? text : text.slice(scheme.length + '://'.length);
  const end = rest.search(/[/?#]/);
  const authority = end === -1 ? rest : rest.slice(0, end);
  if (authority.includes('@')) return refused(LOGIN);

  const tail = end === -1 ? '' : rest.slice(end);
  if (tail.includes('#')) return refused('must not have a fragment');
  if (tail.includes('?')) return refused('must not have a query');
  if (scheme === undefined && authority === '') return refused('has no host');
  const basePath = normalBasePath(tail);
  if (basePath === undefined) return refused(`has a path that is not clear: ${UNCLEAR}`);

  const parts = HOST_AND_PORT.exec(authority);
  if (parts === null) return refused('has a malformed host (an IPv6 address stands in brackets)');
  const [, bracketed, name = '', portText] = parts;
  if (scheme === undefined && portText === undefined) {
    return refused(`has no scheme (${suggestion(text)})`);
  }
  if (bracketed === undefined && name === '' && portText === undefined) {
    return refused('has no host');
  }

  const tls = scheme === 'https';
  const defaultPort = tls ? 443 : 80;
  if (portText !== undefined && !/^\d{1,5}$/.test(portText)) {
    // `u:pass/word@host`: it may well be a password with a slash in it.
    return refused(rest.includes('@') ? LOGIN : `has a malformed port "${portText}"`);
  }
  const port = portText === undefined ? defaultPort : Number(portText);
  if (port < 1 || port > 65_535) return refused(`has the port ${port}; ports are 1 to 65535`);

  const host = bracketed === undefined ? normalHost(name) : canonicalIPv6(bracketed);
  if (host === undefined) return refused(`has a malformed host "${bracketed ?? name}"`);

  const hostText = bracketed === undefined ? host : `[${host}]`;
  const shortAuthority = port === defaultPort ? hostText : `${hostText}:${port}`;
  const url = `${tls ? 'https' : 'http'}://${shortAuthority}${basePath}`;
  return {
    ok: true,
    address: { url, tls, host, port, authority: shortAuthority, socketPath: '', basePath },
  };
}

/**
 * @param text behind `unix:`. The server is called localhost where it has to be called something, as in curl, Docker and nginx.
 */
function parseUnix(text: string): BackendUrlResult {
  const path = text.startsWith('//') ? text.slice(2) : text;
  if (path.startsWith('@'))
    return refused('is an abstract socket; only those with a path are possible');
  if (!path.startsWith('/')) return refused('must have an absolute path, as in unix:/run/app.sock');
  if (/[:?#]/.test(path)) {
    return refused('must end with the path of the socket: no ":", "?" or "#" may be in it');
  }
  const socketPath = posix.normalize(path);
  if (socketPath.endsWith('/')) return refused('is the path of a folder');
  if (Buffer.byteLength(socketPath) > LONGEST_SOCKET_PATH) {
    return refused(
      `has a path of more than ${LONGEST_SOCKET_PATH} bytes, which no Unix socket can have`,
    );
  }
  const server = { tls: false, host: 'localhost', port: 80, authority: 'localhost', basePath: '' };
  return { ok: true, address: { ...server, url: `unix:${socketPath}`, socketPath } };
}

/** Every reader must find the same path, or a request could be led out of it: see data/wire/path.ts. */
const UNCLEAR = 'visible ASCII, without empty segments, dot segments, and encoded slashes';
/** RFC 3986 §3.3. */
const PATH = /^(?:\/(?:[\w.~!$&'()*+,;=:@-]|%[\da-f]{2})*)*$/i;

/** Without a slash at its end, unreserved characters decoded. Undefined: it has more than one reading. */
function normalBasePath(path: string): string | undefined {
  if (!PATH.test(path)) return undefined;
  const text = path.replace(/\/$/, '').replaceAll(/%[\da-f]{2}/gi, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return /[\w.~-]/.test(character) ? character : triplet.toUpperCase();
  });
  if (/%(?:2F|5C|00)/.test(text)) return undefined;
  const isClear = text
    .split('/')
    .slice(1)
    .every((segment) => segment !== '' && !/^\.{1,2}(?:;|$)/.test(segment));
  return isClear ? text : undefined;
}

function suggestion(text: string): string {
  return /^\d+$/.test(text) ? `write http://:${text}` : `write http://${text}`;
}

function normalHost(name: string): string | undefined {
  if (name === '') return 'localhost';
  const isAscii = /^[!-~]*$/.test(name);
  const host = isAscii ? name.toLowerCase() : domainToASCII(name);
  return isIPv4(host) || isHostName(host) ? host : undefined;
}
