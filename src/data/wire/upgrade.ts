/**
 * Other protocols on the same connection (RFC 9110 §7.8): what a request asks for and the settings list, and whether a 101
 * answers that. Whoever lets a backend switch to anything lets clients hide requests from the proxy (h2c smuggling).
 */
import { FIELD_UPGRADE } from './fields.ts';
import type { Head } from './head.ts';

const WEBSOCKET = 'websocket';

/** All Upgrade fields of a head as one list; empty where it has none. */
export function readUpgrade(head: Head): string {
  let list = '';
  for (let field = 0; field < head.fieldCount; field++) {
    if (head.id(field) !== FIELD_UPGRADE) continue;
    list = list === '' ? head.value(field) : `${list},${head.value(field)}`;
  }
  return list;
}

/**
 * Those of a list that may be had, as a list again; empty: none of them.
 * @param allowed in lower case.
 * @param isHandshake whether the request has the form of a WebSocket's (RFC 6455 §4.1): else that is not to be had.
 */
export function allowedOf(list: string, allowed: readonly string[], isHandshake: boolean): string {
  const wanted = protocolsOf(list).filter(
    (protocol) => allowed.includes(protocol) && (isHandshake || protocol !== WEBSOCKET),
  );
  return [...new Set(wanted)].join(', ');
}

/**
 * Whether a 101 that says `list` switches to what was asked for, and to nothing else.
 * @param asked as `allowedOf` gave it.
 */
export function isAnswerTo(asked: string, list: string): boolean {
  if (asked === '') return false;
  if (list === asked) return true;
  const wanted = protocolsOf(asked);
  const given = protocolsOf(list);
  return given.length > 0 && given.every((protocol) => wanted.includes(protocol));
}

/** Whether what was switched to is WebSocket, and not something on top of or beside it. */
export function isWebSocket(list: string): boolean {
  return list.toLowerCase() === WEBSOCKET;
}

function protocolsOf(list: string): string[] {
  return list
    .toLowerCase()
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== '');
}
