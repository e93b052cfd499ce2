/** A WebSocket backend that sends back what it gets. `node websocket.mjs PORT` */
import http from 'node:http';
import { WebSocketServer } from 'ws';

const server = http.createServer((_request, response) => response.end('ok'));
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  // Clients leave when their time is over.
  socket.on('error', () => {});
});
server.listen(Number(process.argv[2]), '127.0.0.1');
