/**
 * The backend of most scenarios: one nginx. `/` is 100 bytes out of memory, `/1k`, `/64k` and `/1m` are files, `/post`
 * answers once it has read the whole request body. It listens on 100 ports, so that it is 100 backends as well, and on one more in
 * HTTP/2, in the clear.
 */
import { mkdirSync } from 'node:fs';
import { untilAnswered } from '../ready.mjs';
import { freePorts } from '../stage.mjs';

const FILES = { '1k': 1024, '64k': 64 * 1024, '1m': 1024 * 1024 };
const PORTS = 100;

/** @param {import('../stage.mjs').Stage} stage */
export async function startBackend(stage) {
  const [http2Port, ...ports] = await freePorts(PORTS + 1);
  mkdirSync(stage.path('files'));
  for (const [name, size] of Object.entries(FILES)) stage.write(`files/${name}`, 'x'.repeat(size));
  const config = stage.write('backend.conf', configOf(stage, ports, http2Port));
  const child = stage.startLoad('nginx', ['-c', config]);
  await untilAnswered({ port: ports[0] });
  await untilAnswered({ port: http2Port, isH2c: true });
  return { ports, http2Port, child };
}

function configOf(stage, ports, http2Port) {
  const { folder } = stage;
  return `daemon off; master_process off; worker_processes 1; pid ${folder}/backend.pid; error_log /dev/null;
events { worker_connections 16384; }
http {
  access_log off; sendfile on; tcp_nopush on;
  keepalive_requests 100000000; keepalive_timeout 300s;
  client_max_body_size 0; client_body_buffer_size 128k;
  client_body_temp_path ${folder}/b1; proxy_temp_path ${folder}/b2; fastcgi_temp_path ${folder}/b3;
  uwsgi_temp_path ${folder}/b4; scgi_temp_path ${folder}/b5;
  upstream answer { server unix:${folder}/answer.sock; keepalive 256; keepalive_requests 100000000; }
  server {
    ${ports.map((port) => `listen 127.0.0.1:${port} backlog=4096;`).join(' ')}
    listen 127.0.0.1:${http2Port} http2 backlog=4096;
    root ${folder}/files;
    location = / { return 200 "${'0123456789'.repeat(10)}"; }
    # "return" answers before the body is read; what asks another server for the answer reads it first.
    location = /post {
      proxy_pass http://answer; proxy_http_version 1.1; proxy_method GET;
      proxy_set_header Connection ""; proxy_set_header Content-Length ""; proxy_pass_request_body off;
    }
  }
  server { listen unix:${folder}/answer.sock; location / { return 200 "ok"; } }
}
`;
}
