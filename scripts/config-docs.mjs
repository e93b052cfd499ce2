/**
 * `npm run docs`: writes docs/configuration.md from the schema in src/config/schema/schema.ts (as compiled in build/). `--check`
 * writes nothing and ends with 1 when the file says something else.
 *
 * Types, ranges, defaults and descriptions come from the schema; variables, flags and what needs a restart are asked of
 * the code that reads them. Only the grouping, the examples and a few remarks are written here.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

const root = new URL('../', import.meta.url);
const target = new URL('docs/configuration.md', root);
const compiled = (name) => import(new URL(`build/${name}`, root));

const { jsonSchema, configSchema, TOP_LEVEL_KEYS } = await compiled('config/schema/schema.js');
const { readEnvironment } = await compiled('config/read/environment.js');
const { parseSettingFlags, describeSettingFlags } = await compiled('cli/settings-flags.js');
const { DURATION_PATTERN } = await compiled('config/values/duration.js');
const { SIZE_PATTERN } = await compiled('config/values/size.js');

const schema = jsonSchema();

/** Every key of the schema is in exactly one group, or this script fails. */
const GROUPS = [
  {
    title: 'Listening',
    keys: ['port', 'host', 'ssl', 'listeners', 'threads'],
    example: `port: 8080
listeners:
  - { port: 8081, host: "::1" }
  - { unix: /run/fairlead/web.sock, mode: "0660" }
threads: 2`,
  },
  {
    title: 'Backends',
    keys: ['backends', 'discover', 'backend_tls', 'strategy', 'hash', 'slow_start'],
    example: `strategy: least-connections
slow_start: 30s
backends:
  - http://localhost:8082
  - { url: http://localhost:8083, weight: 3 }
  - { url: http://localhost:8084, backup: true }`,
  },
  {
    title: 'Sticky sessions',
    keys: ['sticky', 'enable_sticky_sessions', 'sticky_session_ttl'],
    example: `sticky: { by: cookie, name: shop, ttl: 8h, secret: "\${COOKIE_SECRET:-only-for-trying-it}" }`,
  },
  {
    title: 'Health checks',
    keys: [
      'health_check_method',
      'health_check_path',
      'health_check_host',
      'health_check_port',
      'health_check_headers',
      'health_check_expect_status',
      'health_check_expect_body',
      'health_check_service',
      'health_check_frequency',
      'health_check_down_frequency',
      'health_check_timeout',
      'health_check_rise',
      'health_check_fall',
    ],
    example: `health_check_method: http
health_check_path: /healthz
health_check_frequency: 10s
health_check_timeout: 2s
health_check_expect_status: [200-299, 404]`,
    text: `The first result of a new backend decides at once. After that it takes \`health_check_rise\` passing checks in a
row to bring a backend up and \`health_check_fall\` failing ones to take it down. While the answer is open, checks come
every second (or at the frequency, if that is shorter). Intervals vary by 20 % in both directions, so that many proxies
do not check in step. A backend that a request can't connect to is out at once, without waiting for a check.`,
  },
  {
    title: 'Backends that fail',
    keys: ['retries', 'outlier_detection', 'circuit_breaker', 'panic_threshold_percent'],
    example: `retries: { attempts: 2, per_try_timeout: 2s, on_status: [503] }
outlier_detection: { consecutive_failures: 3, slow_call: 1s }
circuit_breaker: true`,
    text: `A failure is a connection that can't be made or breaks, an answer that can't be read, none in time, or one with a
status of 5xx but 501 and 505; with \`slow_call\` also a late one. Failures are counted over all data threads.`,
  },
  {
    title: 'Timeouts',
    keys: ['timeouts', 'request_timeout', 'backend_timeout'],
    example: `request_timeout: 30s
timeouts: { connect: 1s, idle: 2m, drain: 1m }`,
    text: `Timeouts are checked every 100 ms, so they may be late by up to 225 ms. [request.md](request.md) says which phase
of a request each one governs.`,
  },
  {
    title: 'Limits',
    keys: ['limits', 'max_connections', 'max_requests', 'queue', 'rate_limit'],
    example: `limits: { body: 10MiB, client_connections: 20000, connections_per_client: 100, buffered: 1GiB }
max_requests: 200
queue: { size: 500, timeout: 2s }
rate_limit: { rate: 100, burst: 20, by: header, name: X-Api-Key }`,
  },
  {
    title: 'Pools and routes',
    keys: ['pools', 'routes', 'error_pages', 'encoded_slashes', 'merge_slashes'],
    example: `pools:
  web:
    backends: [http://localhost:3001, http://localhost:3002]
    sticky: { by: cookie }
  api:
    strategy: least-connections
    backends: [http://localhost:4001, http://localhost:4002]
    health_check: { path: /healthz, frequency: 5s }
    timeouts: { total: 5s }
routes:
  - { host: api.example.com, pool: api }
  - { host: [example.com, "*.example.com"], path: /api/v2/, method: [GET, POST], pool: api }
  - { headers: { x-beta: true }, query: { preview: { prefix: "2" } }, pool: web }
  - { path: /v1/, pool: api, strip_prefix: /v1, response_headers: { remove: [server] } }
  - { path: "/old/:name/", pool: web, rewrite: "/new/\${path.name}/\${path.rest}" }
  - { path: /admin/, pool: web, allow: [10.0.0.0/8] }
  - { path: /older/, redirect: { to: "https://\${host}/new/\${path.rest}", status: 308 } }
  - { path: "=/robots.txt", respond: { body: "User-agent: *\\n" } }
  - { path: /, pool: web }
error_pages: { 503: { text: "Back soon." } }`,
    text: `All of the above is about the pool \`default\`, which gets every request. With \`pools\` there are more of them, and
\`routes\` say which requests are for which. What stands at the top level is then for what no route is for: with
\`backends\` at the top level, or \`pools.default\`, all else goes to the pool \`default\`; without, it is answered 404.`,
  },
  {
    title: 'Forwarding',
    keys: [
      'protocol',
      'host_header',
      'send_proxy_protocol',
      'trusted_proxies',
      'x_forwarded',
      'forwarded',
      'via',
      'location',
      'upgrade',
      'lenient_responses',
    ],
    example: `host_header: backend
trusted_proxies: [10.0.0.0/8, 2001:db8::/32]
forwarded: true`,
  },
  { title: 'Admin API', keys: ['admin_port', 'admin'], example: `admin_port: 9100` },
  {
    title: 'Logs',
    keys: [
      'access_log',
      'access_log_syslog',
      'access_log_format',
      'access_log_fields',
      'access_log_sampling',
      'access_log_redact',
      'log_level',
    ],
    example: `access_log: ./logs/access.log
access_log_fields: [default, header.user-agent]
access_log_sampling: { percent: 10, slow: 500ms }
log_level: warn`,
  },
  {
    title: 'Traces',
    keys: ['tracing'],
    example: `tracing: { endpoint: http://localhost:4318, sample: 0.1 }`,
  },
  {
    title: 'Reload and state',
    keys: ['watch', 'state_file'],
    example: `watch: false
state_file: ./state/fairlead.json`,
  },
  {
    title: 'Many instances',
    keys: ['cluster'],
    example: `cluster:
  name: shop
  instances: 3
  etcd: { endpoints: ["http://10.0.0.5:2379", "http://10.0.0.6:2379", "http://10.0.0.7:2379"] }`,
  },
  { title: 'Editors', keys: ['$schema'] },
];

/** What the schema can't say: meanings of values, and values that fit a place. */
const REMARKS = {
  threads:
    'More than one needs Linux and Node 22.12 or later; elsewhere one runs, and the log says so. `auto` is the number ' +
    'of processors, 8 at most.',
  ssl:
    'The short form of `listeners[].tls`, for the listener of `port`. TLS 1.2 and 1.3 are spoken, HTTP/2 or HTTP/1.1 over them. The files ' +
    'are watched: that is how a renewed certificate is taken up. The key must have no passphrase.',
  backends:
    'A backend is a scheme, a host and a port, perhaps with a path that is put before those of requests, or a Unix socket: a query or a password is refused. `https://` backends are ' +
    'verified against the certificate authorities that Node knows; `NODE_EXTRA_CA_CERTS` adds to them. The same ' +
    'backend twice is an error. An empty list is fine: backends can be added through the admin API.',
  strategy:
    '`round-robin` takes turns, weighted and smooth, exact over a full cycle of all data threads. `least-connections` ' +
    'takes the backend with the fewest requests in flight for its weight. `random-two` does the same with two backends ' +
    'drawn by chance, by weight, where there are more than 16. `peak-ewma` takes the one that is likely to answer first: ' +
    'by its latencies of the last seconds, the worst of them at once, and its requests in flight. `ip-hash` always sends ' +
    'a client address to the same backend. `consistent-hash` does so with a part of the request, but passes a backend ' +
    'over that has more than 1.25 times the average in flight. With both, a backend that goes moves its own clients only. ' +
    '`least-conn` is another name for `least-connections`, `weighted-round-robin` for `round-robin`.',
  hash:
    '`name` is needed by `header`, `cookie` and `query`, and has no meaning by `ip` and `path`. A request without the ' +
    'field, cookie or parameter is taken by its client’s address. Values are compared as they were sent, byte for byte.',
  sticky:
    '`by` must be given. `name` is needed by `header` and `query`; `secret`, `same_site`, `secure`, `domain` and `path` ' +
    'are for `cookie` only. What clients would refuse is an error: `same_site: none`, and a name that begins with ' +
    '`__Host-` or `__Secure-`, need a cookie that is `secure`; with `__Host-` it has no `domain` and the `path` `/`. ' +
    'Of several cookies of that name the first that Fairlead has made counts. By `learn` (with `cookie`, such as ' +
    '`JSESSIONID`) and by `socket.io` nothing is written into answers: a session is with the backend whose answer has ' +
    'named it, a new client goes where the `strategy` says, and one whose session nobody remembers goes by hash. What ' +
    'is learned is shared by all data threads, and lost with the process, but for an upgrade. `socket.io` reads the first KiB of the ' +
    'answers that open a session by polling, unless they are compressed. A request without ' +
    'the field or parameter is taken by its client’s address. When its backend fails, a client gets another one and ' +
    'stays there; a backend that is drained or has the weight 0 keeps the clients that it has. Share a `secret` ' +
    'between instances, and keep it over restarts, so that cookies go on being good.',
  enable_sticky_sessions: 'Beside a `sticky` that says something else it is an error.',
  sticky_session_ttl: 'Different values for both names contradict each other: that is an error.',
  retries:
    'What may be tried again, and when, is said in [request.md](request.md). `false` means one attempt. ' +
    '`per_try_timeout` and `hedge_after` must be shorter than `timeouts.response` and `timeouts.total`, and ' +
    '`hedge_after` shorter than `per_try_timeout`: else they could never take effect.',
  outlier_detection:
    'As Envoy’s: ejected backends come back by themselves. `max_ejection` must not be shorter than `base_ejection`, ' +
    '`slow_call` must be shorter than `timeouts.response`, `timeouts.total` and `retries.per_try_timeout`. `true` is the same as `{ enabled: true }`.',
  circuit_breaker:
    '`true` is the same as `{ enabled: true }`; a mapping turns it on, too. Each is looked at ten times a second while ' +
    'one is not closed, else ten times in `interval`, at least once a second: it opens and closes that much later.',
  queue:
    'Without `max_connections`, `max_requests` and `circuit_breaker` no backend is ever full, so none waits.',
  rate_limit:
    '`rate` must be given. `name` is needed by `header` and `cookie`. Counted exactly over all data threads.',
  max_connections:
    'Counted over all data threads, idle connections included; of these a thread keeps its share of the ' +
    'limit. A backend that is full is passed over; when all are full, requests wait in the `queue`, or are answered 503.',
  max_requests:
    'Counted over all data threads. Not more than `max_connections`: each request has a connection of its own.',
  request_timeout: 'Different values for two of the names contradict each other: that is an error.',
  host_header: 'The backend’s own is the host and port of its URL.',
  pools:
    'A name has 1 to 64 of `a-z`, `0-9`, `_` and `-`, and begins with a letter or a digit. The pool `default` is either what ' +
    'stands at the top level, or `pools.default`: both is an error. A backend may be in several pools; each checks it for ' +
    'itself. `check` says which pool is used by no route, and which keys at the top level ' +
    'have no effect because none leads to the pool `default`.',
  routes:
    'The most specific route is taken, in whatever order they stand: first by host (a name before `*.`, the longer `*.` before ' +
    'the shorter, any host last), then by path (`=` before a prefix, more segments before fewer, a segment that is written ' +
    'out before a `:name`), then by how many conditions it has (the list of methods is one, each header field and each ' +
    'parameter is one), and where all of this is equal the first in the list. If its conditions do not hold, the next ' +
    'one is tried. A route does one thing: `pool`, `split`, `redirect` or `respond`. Two routes for the same requests are an error, and `check` says which route can never match. There may be 10,000. ' +
    'The policies of a route (`timeouts`, `limits`, `rate_limit`, `retries`) are laid over those of the pool that its request goes to, key by key; what it does not say is as ' +
    'the pool says. A request keeps to those with which it has begun.',

  error_pages:
    'The files are read when the config is read: one that can not be read is an error, and a reload takes up what they hold by ' +
    'then. They are bytes to Fairlead, and sent as they are. The content type is by the ending of the file (`.txt`, `.json`, `.xml`, `.svg`, ' +
    'all else `text/html`), in UTF-8. Answers of backends are none of its business, whatever their status. All pages, and the bodies of `respond`, have at most ' +
    '16MiB together.',
  trusted_proxies:
    'From any other peer these fields are dropped and written anew: see [request.md](request.md#forwarding).',
  admin: 'An address that is not loopback is refused without a token.',
  encoded_slashes: 'What else is done with paths is said in [request.md](request.md#the-path).',
  access_log: 'A file is appended to; SIGUSR1 opens it anew after log rotation.',
  access_log_format: 'Each field is explained in [operations.md](operations.md#access-log).',
  access_log_fields:
    'They stand in the order of [operations.md](operations.md#access-log), whatever the order here.',
  access_log_sampling:
    'Which of the others have one is left to chance, in each data thread by itself.',
};

/** What stands below an entry. */
const MORE = {
  routes: `#### Variables

${wrap(
  'Of a request, in `rewrite`, in the `to` of a `redirect`, and in the texts of `request_headers` and `response_headers`. They are told from variables of the ' +
    'environment by their names: a name with a dot, and `path`, `query`, `host`, `scheme` and `method`, are of the request there, all others ' +
    'of the environment, as everywhere. `$${` is a plain `${`.',
)}

- \`\${path}\`: the path, without the query; \`\${query}\`: the query, without the \`?\`.
- \`\${path.rest}\`: what is behind the \`path\` of the route, without the slash between them; \`\${path.NAME}\`: the segment that the
  \`path\` of the route calls \`:NAME\`.
- \`\${host}\`: the host, in lower case, without the port; \`\${host.label(1)}\`: its first label from the left, and so on. Addresses have none.
- \`\${client.address}\`: the client’s address, as in the log; \`\${request.id}\`: the id of the request, as in \`X-Request-Id\`.
- \`\${scheme}\`: \`http\` or \`https\`, as the client came, by what a trusted proxy says if there is one; \`\${method}\`.
- \`\${header.NAME}\`: a header field of the request, as the \`headers\` of a route see it. Several of one name are joined by commas.

${wrap(
  'A variable that there is nothing for is empty. Nothing is decoded: what stands in the path as `%0d%0a` stays that. In `rewrite`, what is not of the ' +
    'path is percent-encoded but for letters, digits and `-._~`, and behind a `?` so is what separates parameters. A path that has got `.` or `..` as a segment is answered 400, and so is one with an ' +
    'encoded slash, as `encoded_slashes` says. A text has at most 16 variables.',
)}`,
};

/** What the text is, where the schema says only that it is one. */
const TEXTS = {
  host: 'IP address, host name, or `*`',
  'ssl.cert_file': 'path',
  'ssl.key_file': 'path',
  'discover.dns': 'URL with a host name',
  'discover.srv': 'URL with the name of a service',
  'discover.file': 'path',
  'discover.docker': 'a mapping:',
  'discover.docker.endpoint': 'URL',
  'discover.docker.labels': 'mapping of labels to texts',
  'discover.docker.network': 'name of a network',
  'discover.consul': 'a mapping:',
  'discover.consul.service': 'name',
  'discover.consul.endpoint': 'URL',
  'discover.consul.datacenter': 'name',
  'discover.consul.tags': 'list of tags',
  'discover.consul.token': 'visible ASCII without spaces',
  'discover.kubernetes': 'a mapping:',
  'discover.kubernetes.service': 'name',
  'discover.kubernetes.namespace': 'name',
  'discover.kubernetes.port': 'name or number',
  'discover.kubernetes.api_server': 'URL',
  'discover.kubernetes.token_file': 'the path of a file',
  'discover.docker.ca_file': 'the path of a PEM file',
  'discover.docker.cert_file': 'the path of a PEM file',
  'discover.docker.key_file': 'the path of a PEM file',
  'discover.consul.ca_file': 'the path of a PEM file',
  'discover.consul.cert_file': 'the path of a PEM file',
  'discover.consul.key_file': 'the path of a PEM file',
  'discover.kubernetes.ca_file': 'the path of a PEM file',
  'discover.kubernetes.cert_file': 'the path of a PEM file',
  'discover.kubernetes.key_file': 'the path of a PEM file',
  'discover.docker.path': 'path that starts with a slash',
  'discover.consul.path': 'path that starts with a slash',
  'discover.kubernetes.path': 'path that starts with a slash',
  'backend_tls.ca_file': 'path',
  'backend_tls.cert_file': 'path',
  'backend_tls.key_file': 'path',
  'backend_tls.server_name': 'host name or IP address',
  'backends[].url': 'URL',
  'cluster.name': 'name',
  'cluster.instance': 'name',
  'cluster.address': 'URL of http or https',
  'cluster.etcd': 'mapping',
  'cluster.etcd.endpoints': 'list of URLs of http or https',
  'cluster.etcd.tls': 'mapping',
  'cluster.etcd.tls.ca_file': 'path',
  'cluster.etcd.tls.cert_file': 'path',
  'cluster.etcd.tls.key_file': 'path',
  'cluster.etcd.tls.server_name': 'host name',
  'cluster.etcd.user': 'text',
  'cluster.etcd.password_file': 'path',
  'cluster.etcd.prefix': 'text that begins and ends with a slash',
  'cluster.key': 'text',
  'cluster.etcd.password': 'text',
  'cluster.key_file': 'path',
  'cluster.snapshot_file': 'path, or `false`',
  'cluster.redis': '`false`, or a mapping:',
  'cluster.redis.url': 'URL',
  'cluster.redis.username': 'name',
  'cluster.redis.password': 'visible ASCII without spaces',
  'cluster.redis.password_file': 'the path of a file',
  'cluster.redis.prefix': 'text',
  'cluster.redis.tls': 'a mapping:',
  'cluster.redis.tls.ca_file': 'the path of a PEM file',
  'cluster.redis.tls.cert_file': 'the path of a PEM file',
  'cluster.redis.tls.key_file': 'the path of a PEM file',
  'cluster.redis.tls.server_name': 'host name',
  'tracing.endpoint': 'URL of http or https',
  'tracing.headers': 'mapping of header fields',
  'tracing.sample': 'number, 0 to 1',
  'tracing.service_name': 'text',
  backends: 'list of URLs and mappings',
  health_check_path: 'path and query that start with a slash, in visible ASCII',
  health_check_host: 'host name with or without a port',
  health_check_headers: 'mapping of names to texts',
  health_check_expect_status: 'list of statuses and ranges, 200 to 599',
  health_check_expect_body: 'text',
  health_check_service: 'text',
  'hash.name': 'name',
  'sticky.name': 'name',
  'sticky.cookie': 'name',
  'sticky.domain': 'host name',
  'sticky.path': 'path that starts with a slash',
  'sticky.secret': '16 visible ASCII characters or more, without spaces',
  'retries.on_status': 'list of status codes, 400 to 599, none twice',
  'retries.on_grpc_status': 'list of names of statuses, such as `UNAVAILABLE`, none twice',
  'rate_limit.name': 'name',
  host_header: '`client`, `backend`, or a host name with or without a port',
  trusted_proxies: 'list of IP addresses and CIDR blocks',
  upgrade: 'list of protocols: a name, perhaps with a version',
  'admin.host': 'IP address or host name',
  'admin.token': 'visible ASCII without spaces',
  'admin.unix': 'the path of a socket',
  'admin.tls': 'a mapping:',
  'admin.tls.cert_file': 'the path of a PEM file',
  'admin.tls.key_file': 'the path of a PEM file',
  'admin.tls.client_ca_file': 'the path of a PEM file',
  'admin.mode': 'octal digits in quotes',
  'admin.tokens_file': 'the path of a file',
  'admin.rate_limit': '`false`, or a mapping:',
  access_log: '`true`, `false`, a path, `udp://HOST:PORT`, or `unix:PATH`',
  'access_log_syslog.app_name': '1 to 48 visible ASCII characters without spaces',
  access_log_fields: 'list of names, none twice',
  'access_log_sampling.percent': 'number, 0 to 100',
  'access_log_redact.query': 'list of names',
  'access_log_redact.headers': 'list of names',
  state_file: 'path, or `false`',
  $schema: 'URL or path',
  listeners: 'list of mappings',
  'listeners[].host': 'IP address, host name, or `*`',
  'listeners[].unix': 'path',
  'listeners[].fd': 'name of a socket',
  'listeners[].tls': 'mapping',
  'listeners[].tls.certificates': 'list of mappings',
  'listeners[].tls.certificates[].cert_file': 'path',
  'listeners[].tls.certificates[].key_file': 'path',
  'listeners[].tls.certificates[].folder': 'path',
  'listeners[].tls.acme': 'mapping',
  'listeners[].tls.acme.email': 'e-mail address',
  'listeners[].tls.acme.names': 'list of host names',
  'listeners[].tls.acme.on_demand': 'mapping',
  'listeners[].tls.acme.on_demand.ask': 'URL',
  'listeners[].tls.acme.ca': 'URL',
  'listeners[].tls.acme.ca_file': 'path',
  'listeners[].tls.acme.dns_hook': 'mapping',
  'listeners[].tls.acme.dns_hook.command': 'list of texts',
  'listeners[].tls.acme.external_account': 'mapping',
  'listeners[].tls.acme.external_account.key_id': 'text',
  'listeners[].tls.acme.external_account.key': 'text',
  'listeners[].tls.acme.store_file': 'path',
  'listeners[].tls.acme.store_key_file': 'path',
  'listeners[].tls.acme.store_key': 'text',
  'listeners[].tls.client_certificates': 'mapping',
  'listeners[].tls.client_certificates.ca_file': 'path',
  'listeners[].tls.min_version': '`"1.2"` or `"1.3"`',
  'listeners[].mode': 'octal digits, in quotes',
  'listeners[].proxy_protocol.from': 'list of IP addresses, CIDR blocks, and `unix`',
  routes: 'list of mappings',
  'routes[].host': 'host, or a list',
  'routes[].path': 'path',
  'routes[].method': 'method, or a list',
  'routes[].headers': 'mapping of names to `true`, a text, or `{ prefix, suffix, contains }`',
  'routes[].query': 'mapping of names to `true`, a text, or `{ prefix, suffix, contains }`',
  'routes[].pool': 'name of a pool',
  'routes[].strip_prefix': 'path',
  'routes[].rewrite': 'path, with variables',
  'routes[].request_headers': 'mapping',
  'routes[].request_headers.set': 'mapping of names to texts, with variables',
  'routes[].request_headers.add': 'mapping of names to texts, with variables',
  'routes[].request_headers.remove': 'list of names',
  'routes[].response_headers': 'mapping',
  'routes[].response_headers.set': 'mapping of names to texts, with variables',
  'routes[].response_headers.add': 'mapping of names to texts, with variables',
  'routes[].response_headers.remove': 'list of names',
  'routes[].redirect': 'mapping',
  'routes[].redirect.to': 'path or URL, with variables',
  'routes[].redirect.status': '301, 302, 303, 307 or 308',
  'routes[].respond': 'mapping',
  'routes[].respond.body': 'text',
  'routes[].respond.headers': 'mapping of names to a text, or a list of them',
  'routes[].maintenance': '`true`, `false`, or a mapping',
  'routes[].allow': 'list of IP addresses and CIDR blocks',
  'routes[].deny': 'list of IP addresses and CIDR blocks',
  'routes[].basic_auth': 'mapping',
  'routes[].basic_auth.realm': 'text',
  'routes[].basic_auth.users': 'mapping of names to hashes',
  'routes[].error_pages': 'mapping of statuses to pages',
  'routes[].cors': 'mapping',
  'routes[].cors.origins': 'list of origins',
  'routes[].cors.methods': 'list of methods',
  'routes[].cors.headers': 'list of names',
  'routes[].cors.exposed': 'list of names',
  error_pages: 'mapping of statuses to pages',
  'routes[].split': 'list of mappings',
  'routes[].mirror': 'mapping',
  'routes[].timeouts': 'mapping',
  'routes[].limits': 'mapping',
  'routes[].rate_limit': 'mapping, or `false`',
  'routes[].retries': 'mapping, or `false`',
  'routes[].mirror.pool': 'name of a pool',
  'routes[].mirror.percent': 'number, 0 to 100',
  'routes[].split[].pool': 'name of a pool',
  'routes[].split[].name': 'name',
  'routes[].rate_limit.name': 'name',
  'routes[].retries.on_status': 'list of status codes, 400 to 599, none twice',
  'routes[].retries.on_grpc_status': 'list of names of statuses, such as `UNAVAILABLE`, none twice',
};

/** What has another name at the top level. */
const SHORT_NAMES = { tls: 'backend_tls' };

/** Names that are not FAIRLEAD_ and a key. What they set is asked of the code. */
const OTHER_VARIABLES = [
  'TARGET_BACKEND_URLS',
  'HEALTH_CHECK_INTERVAL',
  'HEALTH_CHECK_DOWN_INTERVAL',
  'HEALTH_CHECK_PATH',
  'PROXY_LISTEN_ADDR',
  'FAIRLEAD_ADMIN_TOKEN',
];

const alternatives = (node) => node.anyOf?.flatMap(alternatives) ?? [node];
const mappingOf = (node) => alternatives(node).find(({ type }) => type === 'object');
const code = (value) => `\`${value}\``;
const orderly = (number) => String(number).replaceAll(/\B(?=(\d{3})+$)/g, ',');

/** Path of a key to the variables and flags that set it. */
function variablesByPath() {
  const byPath = new Map();
  const names = TOP_LEVEL_KEYS.map((key) => `FAIRLEAD_${key.toUpperCase()}`);
  for (const name of [...names, ...OTHER_VARIABLES]) {
    // Whatever the key takes, one of these is read as a value for it.
    const readings = ['{}', 'localhost:1'].map((text) => readEnvironment({ [name]: text }));
    const reading = readings.find(({ findings, values }) => findings.length + values.length > 0);
    const sound = readings.find(({ findings, values }) => findings.length === 0 && values.length);
    if (sound === undefined) throw new Error(`${name}: ${JSON.stringify(reading?.findings)}`);
    const paths = new Set(readings.flatMap(({ values }) => values.map(({ path }) => path)));
    for (const path of new Set([...paths].map((one) => one.join('.')))) {
      byPath.set(path, [...(byPath.get(path) ?? []), name]);
    }
  }
  return byPath;
}

function flagsByPath() {
  const byPath = new Map();
  for (const [, name, shown] of describeSettingFlags().matchAll(
    /^ {2}--([\w-]+)(\S*(?: \S+)?)/gm,
  )) {
    const flag = `--${name}${shown.trimEnd()}`;
    const takesValue = shown.startsWith(' ') && !shown.startsWith('  ');
    if (name === 'config') continue;
    const argument = takesValue
      ? `--${name}=${/^ [a-z]+$/.test(shown) ? shown.trim() : 1}`
      : `--${name}`;
    for (const { path } of parseSettingFlags([argument]).flags.values) {
      const key = path.join('.');
      byPath.set(key, [...(byPath.get(key) ?? []), flag]);
    }
  }
  return byPath;
}

/** The keys whose change is refused by a reload, as control/reload/reload.ts compares them. */
function restartKeys() {
  const text = readFileSync(new URL('build/control/reload/reload.js', root), 'utf8');
  const keys = Array.from(text.matchAll(/compare\('([\w.]+)'/g), ([, key]) => key);
  if (keys.length < 4)
    throw new Error('control/reload/reload.ts no longer says which keys it compares');
  return new Set(keys);
}

/** The least duration that validation lets through: the schema for editors can't say it. */
function leastDuration(path) {
  let value = '0s';
  for (const key of path.toReversed()) {
    const name = key.replace('[]', '');
    value = { [name]: key === name ? value : [value] };
  }
  const result = configSchema.safeParse(value);
  if (result.success) return '`0s` or longer';
  const least = /at least (\S+)/.exec(messagesOf(result.error.issues).join(' '))?.[1];
  if (least === undefined) {
    // What stands around it lacks other keys.
    const place = path.join('.').replaceAll('[]', '.0');
    const isRefused = result.error.issues.some((issue) => issue.path.join('.') === place);
    if (!isRefused) return '`0s` or longer';
    throw new Error(`${path.join('.')}: no least duration`);
  }
  return `at least ${code(least)}`;
}

/** Those of a union's alternatives, too. */
function messagesOf(issues) {
  return issues.flatMap(({ message, errors = [] }) => [message, ...errors.flatMap(messagesOf)]);
}

function describeType(node, path) {
  const text = TEXTS[path.join('.')];
  if (text !== undefined) return text;
  const all = alternatives(node);
  const integer = all.find(({ type }) => type === 'integer');
  const parts = [];
  const names = all.flatMap((one) => one.enum ?? []);
  if (names.length > 0) parts.push(`one of ${names.map(code).join(', ')}`);
  for (const one of all) {
    if (one.const !== undefined && one.const !== false) parts.push(code(one.const));
  }
  if (all.some(({ pattern }) => pattern === DURATION_PATTERN)) {
    parts.push(`duration, ${leastDuration(path)}`);
  } else if (all.some(({ pattern }) => pattern === SIZE_PATTERN)) {
    const { minimum, maximum } = integer;
    const most = maximum === Number.MAX_SAFE_INTEGER ? '' : ` to ${orderly(maximum)}`;
    parts.push(minimum === 0 && most === '' ? 'size' : `size, ${orderly(minimum)}${most} bytes`);
  } else if (integer !== undefined) {
    parts.push(`whole number, ${orderly(integer.minimum)} to ${orderly(integer.maximum)}`);
  }
  if (all.some(({ type, const: only }) => type === 'boolean' && only === undefined)) {
    parts.push('`true` or `false`');
  }
  if (all.some(({ const: only }) => only === false)) parts.push('`false`');
  if (parts.length === 0) throw new Error(`${path.join('.')}: say in TEXTS what it takes`);
  return parts.join(', or ');
}

/** A default that depends on other things is in the description. */
function saysDefault(node) {
  return node.default === undefined && node.description.includes('Default:');
}

function describeDefault(node) {
  if (node.default === undefined) return 'none';
  if (node.default === '') return 'empty';
  return code(typeof node.default === 'string' ? node.default : JSON.stringify(node.default));
}

const variables = variablesByPath();
const flags = flagsByPath();
const restart = restartKeys();

function waysToSet(path) {
  const parts = [];
  if (variables.has(path)) parts.push(`Variable: ${variables.get(path).map(code).join(', ')}.`);
  if (flags.has(path)) parts.push(`Flag: ${flags.get(path).map(code).join(', ')}.`);
  if (path === 'backends') parts.push('URLs on the command line are backends too.');
  return parts.join(' ');
}

function whenApplied(path) {
  return restart.has(path) ? 'A change needs a restart.' : '';
}

/** What turns a policy off or on, beside a mapping. */
function describeSwitches(node) {
  const isOnToo = alternatives(node).some(
    (one) => one.type === 'boolean' && one.const === undefined,
  );
  return isOnToo ? ', `true` or `false`' : ' or `false`';
}

/** Of a top-level key. A mapping has the defaults of its keys. */
function describeOwnDefault(node) {
  if (node.type === 'object' || saysDefault(node)) return '';
  if (mappingOf(node) !== undefined && node.default !== false) return 'Default: on, as below.';
  return `Default: ${describeDefault(node)}.`;
}

/** The keys of a mapping, as a table; its own entry says the rest. */
function tableOf(node, path) {
  return [
    '| key | value | default | what it does |',
    '|---|---|---|---|',
    ...rowsOf(node, path),
  ].join('\n');
}

/** A mapping in it, and an item of a list, are followed by their own keys. */
function rowsOf(node, path) {
  return Object.entries(node.properties ?? {}).flatMap(([key, below]) => {
    const own = `${path}.${key}`;
    const mapping = mappingOf(below);
    const item = below.items && mappingOf(below.items);
    const does = [below.description, waysToSet(own), whenApplied(own)].filter(Boolean).join(' ');
    const type = describeType(below, [...path.split('.'), key]);
    const ofPool = /^routes\[\]\.(timeouts|retries)$/.test(path) ? 'the pool’s' : undefined;
    const value = ofPool ?? (saysDefault(below) ? 'see right' : describeDefault(below));
    const row = `| ${code(own)} | ${type} | ${value} | ${escapeCell(does)} |`;
    if (item?.properties !== undefined) return [row, ...rowsOf(item, `${own}[]`)];
    const hasRows =
      mapping?.properties !== undefined &&
      (path.includes('[]') ||
        ['admin', 'discover', 'cluster', 'cluster.etcd', 'cluster.redis'].includes(path));
    return hasRows ? [row, ...rowsOf(mapping, own)] : [row];
  });
}

function escapeCell(text) {
  return text.replaceAll('|', '\\|');
}

function entry(key) {
  const node = schema.properties[key];
  const mapping = mappingOf(node);
  const about = [node.description, REMARKS[key], whenApplied(key)].filter(Boolean).join(' ');
  const switches = mapping === undefined || mapping === node ? '' : describeSwitches(node);
  const value = mapping === undefined ? describeType(node, [key]) : `a mapping${switches}`;
  const byDefault = describeOwnDefault(node);
  const kind = [`Value: ${value}.`, byDefault, waysToSet(key)].filter(Boolean).join(' ');
  const parts = [`### ${code(key)}`, wrap(about), wrap(kind)];
  const named = mapping?.additionalProperties;
  if (named?.properties) parts.push(...pooled(named, `${key}.*`));
  else if (mapping?.properties) parts.push(tableOf(mapping, key));
  const item = node.items && mappingOf(node.items);
  if (item !== undefined) {
    const what = node.items === item ? 'An item is a mapping:' : 'An item is a URL, or a mapping:';
    parts.push(what, tableOf(item, `${key}[]`));
  }
  if (MORE[key] !== undefined) parts.push(MORE[key]);
  return parts.join('\n\n');
}

/** What a pool takes: the same as at the top level, for the most part, and then it is said there. */
function pooled(pool, path) {
  const rows = Object.entries(pool.properties).map(([key, node]) => {
    const there = SHORT_NAMES[key] ?? key;
    const same = schema.properties[there];
    const of = same === undefined ? shortForms(key, node) : differences(there, node, same);
    return `| ${code(`${path}.${key}`)} | ${escapeCell(of)} |`;
  });
  return ['Below the name of a pool:', ['| key | what it is |', '|---|---|', ...rows].join('\n')];
}

/** A mapping whose keys stand at the top level each by itself. */
function shortForms(key, node) {
  const names = Object.keys(node.properties).map((name) => {
    const top = `${key}_${name}`;
    if (!isDeepStrictEqual(node.properties[name], schema.properties[top])) {
      throw new Error(`pools: ${key}.${name} is not what ${top} is`);
    }
    return `${code(name)} ([${top}](#${top}))`;
  });
  return `A mapping, for what is a key each at the top level: ${names.join(', ')}.`;
}

function differences(key, node, same) {
  const link = `As [${key}](#${key}) at the top level`;
  if (isDeepStrictEqual(node, same)) return `${link}.`;
  const [own, there] = [mappingOf(node).properties, mappingOf(same).properties];
  const kept = Object.keys(own);
  const other = kept.filter((name) => !isDeepStrictEqual(own[name], there[name]));
  const parts = kept.length < Object.keys(there).length ? [`: ${kept.map(code).join(', ')}`] : [];
  for (const name of other)
    parts.push(`; ${code(name)} is ${describeDefault(own[name])} by default`);
  return `${link}${parts.join('')}.`;
}

/** Lines of at most 120 characters; code spans are not broken. */
function wrap(text) {
  const words = text.match(/[^\s`]*(?:`[^`]*`[^\s`]*)+|[^\s`]+/g) ?? [];
  const lines = [''];
  for (const word of words) {
    const line = lines.at(-1);
    if (line !== '' && line.length + 1 + word.length > 120) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}

function render() {
  const grouped = GROUPS.flatMap(({ keys }) => keys);
  const known = Object.keys(schema.properties);
  const wrong = [
    ...known.filter((key) => !grouped.includes(key)),
    ...grouped.filter((key, index) => !known.includes(key) || grouped.indexOf(key) !== index),
    ...Object.keys(REMARKS).filter((key) => !known.includes(key)),
  ];
  if (wrong.length > 0)
    throw new Error(`config-docs.mjs: not in one group each: ${wrong.join(', ')}`);
  const sections = GROUPS.map(({ title, keys, text, example }) =>
    [
      `## ${title}`,
      ...(text === undefined ? [] : [wrap(text)]),
      ...(example === undefined ? [] : [`\`\`\`yaml\n${example}\n\`\`\``]),
      ...keys.map(entry),
    ].join('\n\n'),
  );
  return `${[HEAD, ...sections].join('\n\n')}\n`;
}

const HEAD = `# Configuration

<!-- Made by \`npm run docs\` from src/config/schema/schema.ts: edit there, or in scripts/config-docs.mjs. -->

Every key, what it takes, its default, and how to set it. \`fairlead check --config FILE\` says what is wrong with a file,
with line and column; \`fairlead print-config\` prints every value in force and where it came from. An unknown key is an
error.

## Where values come from

Defaults, then the config file, then the environment, then flags: the later one wins, key by key, also inside a mapping.
A list replaces a list.

- **File**: \`--config FILE\`, else the file that \`FAIRLEAD_CONFIG\` names, else the first of \`fairlead.config.ts\`, \`.mts\`, \`.js\`, \`.mjs\`,
  \`.json\`, \`.yaml\` and \`.yml\`, and \`config.json\`, in the working folder. \`config.json\` may be another program's: it is read only
  if it has a key of this page beside \`port\`, and not when backends are given on the command line. \`--no-config\` reads no
  file. The first line of the log says which one is used. A name that ends in \`.json\` is strict JSON, one of \`.ts\`,
  \`.mts\`, \`.js\` and \`.mjs\` is [code](library.md#a-config-in-typescript), any other is YAML. A text of YAML may have 20,000
  lines and signs that could begin or end something (some 5,000 backends), 100 aliases, and 50,000 values with its aliases
  filled in; one of JSON 80,000 values, 40,000 in one list, and 1,000 keys in one mapping. At
  most 100 of its problems are shown. So a text that was made to be slow to read holds up nothing, wherever it comes from.
- **References**: in any text of a file, \`\${NAME}\` stands for the variable of that name, \`\${NAME:-default}\` has a
  default, and \`$\${\` is a plain \`\${\`. What routes write into requests and answers may also have [variables of the request](#variables).
- **Environment**: \`FAIRLEAD_\` and the key in capitals, for every top-level key. A list is comma-separated or JSON; a
  mapping is JSON: \`FAIRLEAD_TIMEOUTS='{"connect":"1s"}'\`. An empty variable counts as not set. An unknown \`FAIRLEAD_\`
  name is an error; the ones that Kubernetes sets for a service called "fairlead" are passed over. \`FAIRLEAD_ADMIN_URL\`
  and \`FAIRLEAD_ADMIN_TOKEN\` are also read by the commands that ask a running Fairlead.
- **Flags**: \`--port 8080\` and \`--port=8080\` are the same. URLs on the command line are the backends.
- **Paths**: relative to the config file when they stand in it, else to the working folder.

What was changed through the admin API is laid over all of this: see [state_file](#state_file).

A reload (by itself when the file has changed, \`SIGHUP\`, \`POST /reload\`) applies every key live but the ones marked "a change needs a restart".

## Durations and sizes

A **duration** is a text with units, as Go writes them: \`500ms\`, \`30s\`, \`1m30s\`, \`1.5h\`. Units are \`ns\`, \`us\`, \`ms\`,
\`s\`, \`m\` and \`h\`. A plain number is an error, except \`"0"\` where zero is allowed. Fractions of a millisecond are
rounded. The longest duration is 596h.

A **size** is a number of bytes, or a text with a unit: \`65536\`, \`64KiB\`, \`1MB\`. \`KiB\`, \`MiB\`, \`GiB\` are powers of
1024, \`kB\`, \`MB\`, \`GB\` powers of 1000; capitals do not matter.`;

const text = render();
if (process.argv.includes('--check')) {
  const isCurrent = readFileSync(target, 'utf8') === text;
  if (!isCurrent) process.stderr.write('docs/configuration.md is stale: run `npm run docs`\n');
  process.exitCode = isCurrent ? 0 : 1;
} else {
  writeFileSync(target, text);
}
