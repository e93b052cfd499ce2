/**
 * The short form of the configuration: the one source of its keys, types, defaults, documentation and messages, and of
 * the JSON Schema for editors. What depends on more than one key is checked in compile.ts and compile-policies.ts.
 */
import { z } from 'zod';
import { accessLogKeys } from './access-log-schema.ts';
import { admin } from './admin-schema.ts';
import { backendTls } from './backend-tls-schema.ts';
import { cluster } from './cluster-schema.ts';
import { errorPages } from './error-page-schema.ts';
import { healthCheck } from './health-check-schema.ts';
import { http2Limits } from './http2-limits-schema.ts';
import { listener } from './listener-schema.ts';
import { policies } from './policy-schema.ts';
import { bodyLimit, poolKeys, pools, poolTimeouts } from './pool-schema.ts';
import { route } from './route-schema.ts';
import {
  addressBlock,
  duration,
  listenHost,
  nonEmptyText,
  oneOf,
  orNone,
  pathNotSwitch,
  size,
  trueOrFalse,
  upgradeProtocol,
  wholeNumber,
} from './schema-types.ts';
import { tracing } from './tracing-schema.ts';

const timeouts = z.strictObject(
  {
    head: duration()
      .describe(
        'A whole request head, from its first byte (for the first request: from the accept).',
      )
      .prefault('10s'),
    connect: poolTimeouts.connect,
    response: poolTimeouts.response,
    idle: poolTimeouts.idle,
    keep_alive: duration()
      .describe('An idle client connection between two requests.')
      .prefault('75s'),
    backend_keep_alive: poolTimeouts.backend_keep_alive,
    backend_max_age: poolTimeouts.backend_max_age,
    backend_ping: poolTimeouts.backend_ping,
    tunnel: poolTimeouts.tunnel,
    total: poolTimeouts.total,
    drain: duration(0)
      .describe('How long a shutdown waits for requests in flight.')
      .prefault('30s'),
  },
  { error: 'must be a mapping of timeouts, such as { connect: 2s }' },
);

const KIB = 1024;
const MIB = 1024 * KIB;

const limits = z.strictObject(
  {
    request_line: size(64, MIB)
      .describe('Bytes of a request line; a longer one is answered 414.')
      .prefault('16KiB'),
    head: size(256, MIB)
      .describe(
        'Bytes of a request or response head, first line included; a larger one is answered 431 or 502.',
      )
      .prefault('32KiB'),
    fields: wholeNumber(1, 10_000)
      .describe('Header fields of one head, and fields of one trailer section.')
      .default(100),
    body: bodyLimit()
      .describe('Bytes of a request body; a larger one is answered 413. 0 or false: no limit.')
      .prefault(0),
    client_connections: orNone(
      wholeNumber(0, 10_000_000),
      'must be a whole number, or 0 for no limit',
    )
      .describe(
        'Client connections of the whole process. When all are taken, the client that has been idle for longest, a second or more, makes room for a new one. 0 or false: no limit.',
      )
      .prefault(0),
    connections_per_client: orNone(
      wholeNumber(0, 10_000_000),
      'must be a whole number, or 0 for no limit',
    )
      .describe(
        'Of these, from one address (IPv6: from one /64). 0 or false: no limit. One that comes with a reload counts the connections from then on.',
      )
      .prefault(0),
    buffered: orNone(
      size(0, Number.MAX_SAFE_INTEGER).refine((bytes) => bytes === 0 || bytes >= MIB, {
        error: 'must be at least 1MiB, or 0 for no limit',
      }),
      'must be a size, such as 256MiB, or 0 for no limit',
    )
      .describe(
        'Bytes that wait in memory for clients and backends that do not take them, over all connections; above it, those that hold the most are cut. At least 1MiB. 0 or false: no limit.',
      )
      .prefault('256MiB'),
    kept_requests: orNone(
      size(0, 64 * MIB).refine((bytes) => bytes === 0 || bytes >= 16 * KIB, {
        error: 'must be from 16KiB to 64MiB, or 0 for none',
      }),
      'must be a size, such as 256KiB, or 0 for none',
    )
      .describe(
        'Bytes that each data thread keeps of its last requests, for `GET /requests`: half of them for failures of backends and of Fairlead, a quarter for what clients did wrong, the rest for samples of all others. 16KiB to 64MiB. 0 or false: none.',
      )
      .prefault('256KiB'),
    ...http2Limits,
  },
  { error: 'must be a mapping of limits, such as { body: 1MiB }' },
);

const ssl = z.strictObject(
  {
    enabled: trueOrFalse()
      .describe('Speak TLS to clients. Default: true when the files are given.')
      .optional(),
    cert_file: nonEmptyText('the path of a PEM file')
      .describe('The certificate and its chain (PEM), relative to the config file.')
      .optional(),
    key_file: nonEmptyText('the path of a PEM file')
      .describe('The private key (PEM), relative to the config file.')
      .optional(),
    http2: trueOrFalse()
      .describe('Clients may choose HTTP/2 (ALPN `h2`). Nearly all do.')
      .default(true),
  },
  { error: 'must be a mapping with enabled, cert_file, key_file and http2' },
);

/** Each has a descriptor in every thread. */
const MOST_LISTENERS = 100;

/** They are compared with each other, and that has to end. */
const MOST_ROUTES = 10_000;

export const configSchema = z.strictObject(
  {
    $schema: z.string().describe('For editors: where the JSON Schema is.').optional(),
    port: wholeNumber(1, 65_535).describe('The port that clients connect to.').default(8080),
    host: listenHost()
      .describe('The address that clients connect to; `*`: all addresses, IPv6 and IPv4.')
      .prefault('*'),
    listeners: z
      .array(listener, { error: 'must be a list of listeners, such as [{ port: 8080 }]' })
      .min(1, { error: 'must not be empty' })
      .max(MOST_LISTENERS, { error: `must not have more than ${MOST_LISTENERS}` })
      .describe(
        'All addresses that clients connect to, where one is not enough. `port`, `host` and `ssl` describe one more, if `port` is ' +
          'given. A reload opens and closes them; the others are not touched by it.',
      )
      .optional(),
    admin_port: wholeNumber(1, 65_535)
      .describe('The port of the admin API. Must differ from `port`.')
      .default(9000),
    admin: admin.describe('The admin API. false: there is none.').prefault({}),
    threads: z
      .union(
        [
          z.literal('auto'),
          z
            .int()
            .min(1, { error: 'must be auto or 1 to 64' })
            .max(64, { error: 'must be auto or 1 to 64' }),
        ],
        { error: 'must be auto or a whole number from 1 to 64' },
      )
      .describe('Data threads; `auto`: as many as the platform makes use of.')
      .default('auto'),
    strategy: poolKeys.strategy,
    hash: poolKeys.hash,
    backends: poolKeys.backends,
    discover: poolKeys.discover,
    health_check_method: healthCheck.method,
    health_check_path: healthCheck.path,
    health_check_host: healthCheck.host,
    health_check_port: healthCheck.port,
    health_check_headers: healthCheck.headers,
    health_check_expect_status: healthCheck.expect_status,
    health_check_expect_body: healthCheck.expect_body,
    health_check_service: healthCheck.service,
    health_check_frequency: healthCheck.frequency,
    health_check_down_frequency: healthCheck.down_frequency,
    health_check_timeout: healthCheck.timeout,
    health_check_rise: healthCheck.rise,
    health_check_fall: healthCheck.fall,
    request_timeout: duration().describe('The same as `timeouts.response`.').optional(),
    backend_timeout: duration().describe('The same as `timeouts.response`.').optional(),
    timeouts: timeouts.describe('How long Fairlead waits for what.').prefault({}),
    limits: limits.describe('What is too much.').prefault({}),
    ...policies,
    backend_tls: backendTls,
    protocol: poolKeys.protocol,
    host_header: poolKeys.host_header,
    send_proxy_protocol: poolKeys.send_proxy_protocol,
    trusted_proxies: z
      .array(addressBlock(), { error: 'must be a list of IP addresses and CIDR blocks' })
      .describe('Peers whose X-Forwarded-* fields are believed and extended.')
      .prefault([]),
    forwarded: trueOrFalse().describe('Also send RFC 7239 Forwarded.').default(false),
    x_forwarded: trueOrFalse()
      .describe(
        'Tell backends of the client in X-Forwarded-For, -Proto, -Host and -Port. false: none are added; those of ' +
          'trusted proxies pass as they came, all others are dropped.',
      )
      .default(true),
    via: trueOrFalse()
      .describe(
        'Add Via to requests and responses. false: also for servers that do not compress for proxies; but a request ' +
          'that comes back to this instance is not noticed then.',
      )
      .default(true),
    location: oneOf(['keep', 'rewrite'])
      .describe(
        'rewrite: where Location or Refresh of an answer begins with the address of the backend that gave it (`http://` and ' +
          'the host and port of its URL), the scheme and host that the client used stand in its place, and a path in the URL is ' +
          'taken off. Nothing else is touched.',
      )
      .default('keep'),
    upgrade: z
      .array(upgradeProtocol(), { error: 'must be a list of protocols, such as [websocket, tcp]' })
      .describe(
        'The protocols that a connection may be upgraded to: a request that asks for another goes on without asking. What ' +
          'passes afterwards is relayed as it is, in both directions. `tcp` is what Docker uses. [] is none.',
      )
      .prefault(['websocket']),
    encoded_slashes: oneOf(['reject', 'keep'])
      .describe(
        'Where `routes` look at paths, or a backend has one in its URL: whether one with `%2F` or `%5C` is answered 400, since backends do not agree on what it ' +
          'means, or passes with it as a part of its segment.',
      )
      .default('reject'),
    merge_slashes: trueOrFalse()
      .describe(
        'Where `routes` look at paths, or a backend has one in its URL: `/a//b` is matched and forwarded as `/a/b`. ' +
          'false: they are two paths, and `//admin` passes a route for `/admin` by, with its `allow`, `deny` and `basic_auth`.',
      )
      .default(true),
    lenient_responses: poolKeys.lenient_responses,
    ...accessLogKeys,
    tracing: tracing
      .describe(
        'Spans for OpenTelemetry, of requests and of their attempts: see [operations.md](operations.md#traces). Needs the package ' +
          '`@opentelemetry/exporter-trace-otlp-http`.',
      )
      .prefault(false),
    cluster: cluster
      .describe(
        'What several instances have in common. With `etcd` they share their pools and routes, and what operators change about them; those of this ' +
          'config are not used then, but for `fairlead cluster init`: see [operations.md](operations.md#many-instances). false: this one is alone. ' +
          '`instances` and `redis` may change with a reload, all else not.',
      )
      .prefault(false),
    log_level: oneOf(['debug', 'info', 'warn', 'error'])
      .describe('The least important log lines to write.')
      .default('info'),
    watch: trueOrFalse()
      .describe(
        'Reload when the config file has changed. false: only when told to. See [operations.md](operations.md#reload).',
      )
      .default(true),
    state_file: z
      .union([z.literal(false), pathNotSwitch('false is none')], {
        error: 'must be false or the path of a file',
      })
      .describe(
        'Where changes made through the admin API are kept; false: nowhere. Default: `fairlead.state.json` beside ' +
          'the config file; nowhere without a config file. One process at a time has it: see ' +
          '[operations.md](operations.md#the-state-file).',
      )
      .optional(),
    error_pages: errorPages()
      .describe(
        'Pages in place of the texts of errors that Fairlead itself answers: a status, or `4xx` or `5xx` for those that have none, ' +
          'and a file, or a mapping of `file` or `text`, and `content_type`. Who asks for JSON gets JSON all the same.',
      )
      .prefault({}),
    ssl: ssl.describe('TLS towards clients.').prefault({}),
    pools: pools
      .describe(
        'More pools beside the pool `default`, which is what stands at the top level: each has backends and policies of its ' +
          'own, and nothing of the top level.',
      )
      .prefault({}),
    routes: z
      .array(route, { error: 'must be a list of routes' })
      .superRefine((routes, context) => {
        if (routes.length <= MOST_ROUTES) return;
        const message = `must not have more than ${MOST_ROUTES} routes`;
        context.addIssue({ code: 'custom', message });
      })
      .describe(
        'Which pool a request is for. The most specific route that matches it is taken; with none it is answered 404.',
      )
      .prefault([]),
  },
  { error: 'must be a mapping of keys, such as port: 8080' },
);

/** A configuration after validation, defaults filled in; see settings.ts for what it means. */
export type Config = z.output<typeof configSchema>;

/** This schema, or one with other values for some keys that mean the same. */
export type ConfigParser = z.ZodType<Config>;

/** JSON Schema as far as this program reads it itself. */
export interface JsonSchemaNode {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
  readonly pattern?: string;
  /** `template`: a text with variables of the request. */
  readonly format?: string;
  /** A secret: never shown. */
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, JsonSchemaNode>>;
  /** Of a mapping with names that are free. */
  readonly additionalProperties?: JsonSchemaNode | false;
  readonly items?: JsonSchemaNode;
  readonly anyOf?: readonly JsonSchemaNode[];
}

let whole: JsonSchemaNode | undefined;

/** The JSON Schema of a config file, for editors and for `GET /schema.json`. */
export function jsonSchema(): JsonSchemaNode {
  whole ??= {
    ...(z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchemaNode & object),
    title: 'Fairlead configuration',
  } as JsonSchemaNode;
  return whole;
}

/** The same for reading values: the schema of a key is made when it is asked for. All of them take a fifth of a start. */
export const CONFIG_NODE: JsonSchemaNode = { type: 'object', properties: schemasOfKeys() };

function schemasOfKeys(): Record<string, JsonSchemaNode> {
  const made = new Map<string, JsonSchemaNode>();
  const properties: Record<string, JsonSchemaNode> = {};
  for (const [key, schema] of Object.entries(configSchema.shape)) {
    const get = (): JsonSchemaNode => {
      const node = made.get(key) ?? (z.toJSONSchema(schema, { io: 'input' }) as JsonSchemaNode);
      made.set(key, node);
      return node;
    };
    Object.defineProperty(properties, key, { enumerable: true, get });
  }
  return properties;
}

/** Every key at the top level that sets something. */
export const TOP_LEVEL_KEYS: readonly string[] = Object.keys(configSchema.shape).filter(
  (key) => key !== '$schema',
);
