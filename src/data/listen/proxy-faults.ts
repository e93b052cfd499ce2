/** Listed proxies that have sent no PROXY header: how many, and what the first of them has sent, until the control plane is told. */
import net from 'node:net';
import type { NoProxyHeaderMessage } from '../../snapshot/messages.ts';
import { peerAddress, type TcpHandle } from '../stream/tcp-handles.ts';
import { normalizeAddress } from './client-address.ts';

/** So much of what has come is shown. */
const SHOWN_BYTES = 48;

export type ProxyFaults = Pick<NoProxyHeaderMessage, 'count' | 'peer' | 'came' | 'waitedMs'>;

export class ProxyFaultCount {
  #count = 0;
  #peer = '';
  #came = '';
  #waitedMs = 0;

  /**
   * The connection is open yet.
   * @param waitedMs how long it had for a whole header; 0: what has come is none.
   */
  add(connection: TcpHandle | net.Socket, bytes: Buffer, waitedMs: number): void {
    // Of many at once, one stands for all: whoever sends them shall not make us write.
    if (this.#count++ > 0) return;
    this.#peer = peerOf(connection);
    this.#came = shown(bytes);
    this.#waitedMs = waitedMs;
  }

  /** Those since it was last asked for; null: none. */
  take(): ProxyFaults | null {
    const count = this.#count;
    if (count === 0) return null;
    this.#count = 0;
    return { count, peer: this.#peer, came: this.#came, waitedMs: this.#waitedMs };
  }
}

function peerOf(connection: TcpHandle | net.Socket): string {
  const isSocket = connection instanceof net.Socket;
  return normalizeAddress(isSocket ? connection.remoteAddress : peerAddress(connection));
}

/** Visible ASCII, whatever it was. */
function shown(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes.subarray(0, SHOWN_BYTES)) text += shownByte(byte);
  return bytes.length > SHOWN_BYTES ? `${text}...` : text;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\r': '\\r',
  '\n': '\\n',
  '\t': '\\t',
  '\\': '\\\\',
};

function shownByte(byte: number): string {
  const character = String.fromCharCode(byte);
  const isVisible = byte >= 0x20 && byte < 0x7f;
  return ESCAPES[character] ?? (isVisible ? character : `\\x${byte.toString(16).padStart(2, '0')}`);
}
