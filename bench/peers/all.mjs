/** Every peer, in the order in which tables show them. A new one joins here. */
import { caddy } from './caddy.mjs';
import { go } from './go.mjs';
import { haproxy, haproxyWithLog } from './haproxy.mjs';
import { nginx, nginxWithBuffers } from './nginx.mjs';
import { fastifyHttpProxy, fastProxy, httpProxy, httpxy } from './npm.mjs';

/** @type {readonly import('./peer.mjs').Peer[]} */
export const PEERS = [
  nginx,
  nginxWithBuffers,
  haproxy,
  haproxyWithLog,
  caddy,
  go,
  httpxy,
  fastProxy,
  httpProxy,
  fastifyHttpProxy,
];
