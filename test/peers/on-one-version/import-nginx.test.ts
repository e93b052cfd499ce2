/** The same requests to nginx with a config, and to Fairlead with what `fairlead import nginx` makes of it. */
import { writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { beforeAll, describe, expect, test } from 'vitest';
import { runFairlead, startFairlead } from '../../support/fairlead.ts';
import { freePort } from '../../support/free-port.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { hasTool, pathOf } from '../../support/tools.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startProgram } from './program.ts';

/** Of a request that a backend has got. */
interface Echo {
  readonly backend: string;
  readonly url: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Ask {
  readonly path: string;
  readonly host?: string;
  readonly method?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const FIELDS = ['host', 'x-real-ip', 'x-told', 'x-asked', 'accept-encoding'];

/** Says what it has got. */
async function echo(name: string): Promise<number> {
  const { port } = await httpBackend((incoming, response) => {
    const fields = Object.fromEntries(FIELDS.map((field) => [field, incoming.headers[field]]));
    response.setHeader('X-Secret', 'of the backend').setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ backend: name, url: incoming.url, fields }));
  });
  return port;
}

function configOf(port: number, [one = 0, two = 0, three = 0]: readonly number[]): string {
  return `map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  upstream app { server 127.0.0.1:${one}; server 127.0.0.1:${two} backup; }
  server {
    listen 127.0.0.1:${port} default_server; server_name shop.test; absolute_redirect off;
    proxy_set_header Host $http_host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    location / { proxy_pass http://app; }
    location /plain/ { proxy_pass http://127.0.0.1:${two}; proxy_set_header X-Told "a $scheme $request_method"; }
    location /strip/ { proxy_pass http://127.0.0.1:${two}/; }
    location /base/ { proxy_pass http://127.0.0.1:${three}/v2/; }
    location = /exact { proxy_pass http://127.0.0.1:${three}/other; }
    location ^~ /asked/ { proxy_pass http://app; proxy_set_header X-Asked $http_x_ask; proxy_set_header Accept-Encoding ""; }
    location /gone/ { return 410; }
    location /pong/ { return 200 "pong"; }
    location /old/ { return 301 /new$request_uri; }
    location /away/ { return 307 https://else.test$request_uri; }
    location /hidden/ { proxy_pass http://app; proxy_hide_header X-Secret; add_header X-Added "b c" always; }
    location /inside/ { allow 127.0.0.0/8; deny all; proxy_pass http://app; }
    location /outside/ { deny 127.0.0.1; allow all; proxy_pass http://app; }
    location /small/ { client_max_body_size 10; proxy_pass http://app; }
    location /nested/ { proxy_pass http://app; location /nested/inner/ { proxy_pass http://127.0.0.1:${three}; } }
    location ~ ^/users/ { proxy_pass http://127.0.0.1:${two}; }
    location /users/more/ { return 204; }
    location ^~ /first/ { proxy_pass http://app; }
    location ~ ^/first/more/ { return 410; }
    location /both { proxy_pass http://app; }
    location /both/ { return 410; }
    location = /own { return 410; }
    location /own/ { proxy_pass http://app; }
    location /read/ { if ($request_method !~ ^(GET|HEAD)$) { return 405; } proxy_pass http://app; }
    location /key/ { if ($http_x_ask != "me") { return 403; } proxy_pass http://app; }
    location /barred/ { if ($http_x_ask = me) { return 404; } proxy_pass http://app; }
    location /except/ { limit_except GET { deny all; } proxy_pass http://app; }
    location /closed/ { if ($arg_a = "") { return 403; } proxy_pass http://app; }
    location /internal/ { internal; proxy_pass http://app; }
  }
  server {
    listen 127.0.0.1:${port}; server_name other.test *.wild.test;
    location / { proxy_pass http://127.0.0.1:${three}; }
  }`;
}

/** All that is said of it: these are not asked for. */
const SAID = [
  /^location \/(gone|pong|old|away)\/: differs: a route for \S+ is for /,
  /^location ~ \^\/users\/: differs: a route for \S+ is for /,
  /^location \/users\/more\/: left out: nginx takes location ~ \^\/users\/ /,
  /^location ~ \^\/first\/more\/: left out: nginx takes location \^~ \/first\/ /,
  /^location \/both: differs: nginx takes all that begins/,
  /^if \(\$arg_a = .*: CLOSED: /,
];

const ASKS: readonly Ask[] = [
  { path: '/' },
  { path: '/a/b?c=d&e=%20f' },
  { path: '/', host: 'unknown.test' },
  { path: '/x', host: 'other.test' },
  { path: '/x', host: 'a.wild.test' },
  { path: '/x', host: 'a.b.wild.test' },
  { path: '/plain/x?y' },
  { path: '/plain/x', method: 'DELETE' },
  { path: '/strip/' },
  { path: '/strip/x/y?z=1' },
  { path: '/base/' },
  { path: '/base/x?y=z' },
  { path: '/exact' },
  { path: '/exact?q=1' },
  { path: '/exact/below' },
  { path: '/asked/x', fields: { 'x-ask': 'me', 'accept-encoding': 'gzip' } },
  { path: '/gone/x' },
  { path: '/pong/' },
  { path: '/old/x?y=z' },
  { path: '/away/x' },
  { path: '/hidden/x' },
  { path: '/inside/x' },
  { path: '/outside/x' },
  { path: '/small/x', method: 'POST', body: 'ten bytes.' },
  { path: '/small/x', method: 'POST', body: 'eleven bytes' },
  { path: '/nested/x' },
  { path: '/nested/inner/x' },
  { path: '/users/1' },
  { path: '/users/more/x' },
  { path: '/first/x' },
  { path: '/first/more/x' },
  { path: '/both' },
  { path: '/both/' },
  { path: '/own' },
  { path: '/own/' },
  { path: '/plain' },
  { path: '/strip?a=b' },
  { path: '/asked', method: 'POST' },
  { path: '/nested/inner' },
  { path: '/read/x' },
  { path: '/read/x', method: 'HEAD' },
  { path: '/read/x', method: 'PUT' },
  { path: '/key/x', fields: { 'x-ask': 'me' } },
  { path: '/key/x', fields: { 'x-ask': 'you' } },
  { path: '/key/x' },
  { path: '/barred/x', fields: { 'x-ask': 'me' } },
  { path: '/barred/x', fields: { 'x-ask': 'you' } },
  { path: '/barred/x' },
  { path: '/except/x' },
  { path: '/except/x', method: 'HEAD' },
  { path: '/except/x', method: 'POST' },
  { path: '/closed/x' },
  { path: '/internal/x' },
];

let ports: { readonly nginx: number; readonly fairlead: number };

async function answerTo(
  port: number,
  { path, host = 'shop.test', method = 'GET', fields, body }: Ask,
) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = {
      host,
      ...fields,
      ...(body !== undefined && { 'content-length': body.length }),
    };
    const sent = request({ host: '127.0.0.1', port, path, method, headers }, resolve);
    sent.on('error', reject).end(body);
  });
  const { statusCode: status, headers } = response;
  const isEcho =
    method !== 'HEAD' && status === 200 && headers['content-type'] === 'application/json';
  const echoed = isEcho ? ((await json(response)) as Echo) : undefined;
  response.resume();
  const { location, 'x-secret': secret, 'x-added': added } = headers;
  return { status, location, secret, added, echoed };
}

describe.runIf(hasTool('nginx'))('what is imported does as nginx does', () => {
  beforeAll(async () => {
    const folder = temporaryFolder('import-nginx');
    const backends = [await echo('one'), await echo('two'), await echo('three')];
    const [nginxPort, port, adminPort] = [await freePort(), await freePort(), await freePort()];
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const around = (text: string): string =>
      `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
      ${process.getuid?.() === 0 ? 'user root;' : ''} events {} http { access_log off;
      ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
      ${text} }`;
    writeFileSync(`${folder}/nginx.conf`, around(configOf(nginxPort, backends)));
    writeFileSync(`${folder}/same.conf`, around(configOf(port, backends)));
    const made = await runFairlead(['import', 'nginx', 'same.conf', '-o', 'fairlead.yaml'], {
      cwd: folder,
    });
    if (made.code !== 0) throw new Error(made.stderr);
    const said = made.stderr.trimEnd().split('\n');
    const others = said.filter((one) =>
      SAID.every((known) => !known.test(one.replace(/^same\.conf:\d+: /, ''))),
    );
    if (others.length > 0) throw new Error(others.join('\n'));
    const program = startProgram(pathOf('nginx') as string, [
      '-c',
      `${folder}/nginx.conf`,
      '-e',
      `${folder}/error.log`,
    ]);
    const args = ['--config', `${folder}/fairlead.yaml`, '--admin-port', String(adminPort)];
    await startFairlead({ args, ports: { port, adminPort } });
    ports = { nginx: nginxPort, fairlead: port };
    await waitFor(async () => {
      if (!program.isRunning()) throw new Error(program.output());
      return answerTo(nginxPort, { path: '/pong/' }).then(
        () => true,
        () => false,
      );
    });
  });

  test('for every request', async () => {
    for (const ask of ASKS) {
      const [theirs, ours] = [
        await answerTo(ports.nginx, ask),
        await answerTo(ports.fairlead, ask),
      ];
      expect([ask, ours]).toEqual([ask, theirs]);
    }
  });
});
