import http from 'node:http';
import httpProxy from 'http-proxy';

const [, , port, target] = process.argv;
const proxy = httpProxy.createProxyServer({
  target,
  xfwd: true,
  ws: true,
  agent: new http.Agent({ keepAlive: true, maxSockets: 1024, maxFreeSockets: 1024 }),
});
proxy.on('error', (_error, _request, response) => response?.destroy());
const server = http.createServer((request, response) => proxy.web(request, response));
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head));
server.keepAliveTimeout = 300_000;
server.listen(Number(port), '127.0.0.1');
