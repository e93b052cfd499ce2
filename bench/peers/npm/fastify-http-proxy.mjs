import httpProxy from '@fastify/http-proxy';
import fastify from 'fastify';

const [, , port, target] = process.argv;
const server = fastify({ logger: false, keepAliveTimeout: 300_000, bodyLimit: 16 * 1024 * 1024 });
server.register(httpProxy, { upstream: target, undici: { connections: 256, pipelining: 1 } });
await server.listen({ port: Number(port), host: '127.0.0.1' });
