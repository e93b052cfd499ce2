/**
 * The proxies from npm, each with the server of npm/NAME.mjs around it and connections to the backend kept. They run on
 * the same Node as Fairlead, without a log.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../stage.mjs';
import { Missing } from './peer.mjs';

export const httpxy = peer('httpxy', 'httpxy.mjs');
export const httpProxy = peer('http-proxy', 'http-proxy.mjs');
export const fastProxy = peer('fast-proxy', 'fast-proxy.mjs');
export const fastifyHttpProxy = peer('@fastify/http-proxy', 'fastify-http-proxy.mjs');

/** @returns {import('./peer.mjs').Peer} */
function peer(name, program) {
  const path = fileURLToPath(new URL(`npm/${program}`, import.meta.url));
  const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return {
    name,
    isJustInTime: true,

    async find({ dependencies }) {
      const reason = await dependencies();
      if (reason !== null) throw new Missing(reason);
      return JSON.parse(readFileSync(manifest, 'utf8')).version;
    },

    async start({ stage, options }, { backends }) {
      const [port] = await freePorts(1);
      const command = [path, String(port), `http://127.0.0.1:${backends[0]}`];
      return { child: stage.startProxy(options.node, command), port };
    },
  };
}
