/** Connections to Fairlead, and what is sent on them. */
import net from 'node:net';
import tls from 'node:tls';

const HOST = '127.0.0.1';

/** The node:http2 of Node 20 corrupts its memory now and then when streams are reset under it: frames are spoken in its place. */
export const HAS_SOUND_HTTP2 = Number.parseInt(process.versions.node, 10) >= 22;

/** @param {{ clear: number, tls: number }} ports */
export function connect(ports, isSecure, protocol) {
  const socket = isSecure
    ? tls.connect({
        port: ports.tls,
        host: HOST,
        rejectUnauthorized: false,
        ALPNProtocols: [protocol],
      })
    : net.connect({ port: ports.clear, host: HOST });
  socket.setNoDelay(true);
  return socket;
}

/** Waits for room. @returns {Promise<boolean>} false: it has ended */
export function written(stream, bytes) {
  if (stream.destroyed || !stream.writable) return Promise.resolve(false);
  if (stream.write(bytes)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const settle = (isOpen) => () => {
      stream.off('drain', drained);
      stream.off('close', closed);
      resolve(isOpen);
    };
    const drained = settle(true);
    const closed = settle(false);
    stream.on('drain', drained);
    stream.on('close', closed);
  });
}

/** Resets a stream of Node: its `close` would end the body first, as if it were whole. */
export function giveUp(stream) {
  stream.destroy(new Error('given up'));
}
