import http from 'node:http';
import fastProxy from 'fast-proxy';

const [, , port, target] = process.argv;
// Its quickest way to a backend, by its own documentation.
const { proxy } = fastProxy({ base: target, undici: { connections: 256, pipelining: 1 } });
const server = http.createServer((request, response) => proxy(request, response, request.url, {}));
server.keepAliveTimeout = 300_000;
server.listen(Number(port), '127.0.0.1');
