import { expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { CONFIG_NODE, type JsonSchemaNode, jsonSchema } from '../../src/config/schema/schema.ts';

/** The JSON Schema as an editor would apply it. */
const validator = z.fromJSONSchema(jsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);

function isAccepted(text: string): boolean {
  return validator.safeParse(parseDocument(text).toJS()).success;
}

test.each([
  // The flat config of way C.
  '{"port":8080,"strategy":"round-robin","health_check_frequency":"30s","backends":["http://localhost:8082","http://localhost:8083","http://localhost:8084"],"admin_port":8081,"request_timeout":"10s"}',
  '{"strategy":"least-conn"}',
  // Way D.
  `health_check_method: tcp
backend_timeout: 5s
backends: [{ url: "http://localhost:8081", weight: 5 }, { url: "http://localhost:8082", weight: 3 }]
enable_sticky_sessions: false
sticky_session_ttl: 1h
ssl: { enabled: true, cert_file: ./certs/server.crt, key_file: ./certs/server.key }`,
  `$schema: ./schema.json
threads: auto
timeouts: { head: 10s, drain: 0s }
limits: { head: 64KiB, body: 1000000, client_connections: false }
max_connections: false
access_log: true
state_file: false`,
  // Way D, with sessions.
  'enable_sticky_sessions: true\nsticky_session_ttl: 1h',
  `strategy: consistent-hash
hash: { by: header, name: X-User }
backends: [{ url: "http://a", weight: 0 }, { url: "http://b", backup: true }]
sticky: { by: cookie, name: shop, ttl: 8h, secret: 0123456789abcdef }
retries: { attempts: 2, per_try_timeout: 1s, on_status: [502, 503], hedge_after: false }
outlier_detection: { consecutive_failures: false, slow_call: 2s }
circuit_breaker: true
queue: { size: 10 }
rate_limit: { rate: 100, per: 1m }
slow_start: 30s
panic_threshold_percent: false`,
  `pools:
  web: { backends: [":1"], sticky: { by: cookie, ttl: 8h }, health_check: { path: /up, frequency: 5s } }
  b-2_c: { retries: false, timeouts: { total: 5s }, strategy: least-conn }
routes:
  - { host: a.example, method: GET, pool: web }
  - { host: [a.example, "*.b.example"], path: =/x, method: [GET, PUT], pool: web }
  - { headers: { x-a: true, x-b: "1" }, query: { c: { prefix: d, suffix: e, contains: f } }, pool: b-2_c }`,
  'retries: false\noutlier_detection: false\nqueue: false\nrate_limit: false\nsticky: false\nslow_start: false',
])('accepts %s', (text) => {
  expect(isAccepted(text)).toBe(true);
});

test.each([
  'prot: 1',
  'port: "80"',
  'port: 0',
  'threads: 0',
  'strategy: random',
  'health_check_frequency: 30',
  'health_check_frequency: "30"',
  'limits: { head: 64k }',
  'backends: [{ weight: 1 }]',
  'enable_sticky_sessions: yes',
  'sticky: true',
  'sticky: { by: path }',
  'sticky: { secret: short }',
  'retries: { attempts: 0 }',
  'retries: { on_status: [200] }',
  'circuit_breaker: { opn: 1s }',
  'rate_limit: 100',
  'slow_start: 30',
  'timeouts: { conect: 1s }',
  'pools: { Web: {} }',
  'pools: { web: { retires: false } }',
  'pools: { web: { timeouts: { head: 1s } } }',
  'routes: [{ pool: a, split: [] }]',
  'routes: [{ pool: a, split: [{ weight: 1 }] }]',
  'routes: [{ pool: a, mirror: { percent: 5 } }]',
  'routes: [{ pool: a, timeouts: { head: 1s } }]',
  'routes: [{ pool: a, redirect: /b }]',
  'routes: [{ pool: a, headers: { x-a: 1 } }]',
])('refuses %s', (text) => {
  expect(isAccepted(text)).toBe(false);
});

/** A policy may be a mapping or false. */
function mappingOf(node: JsonSchemaNode): JsonSchemaNode {
  return node.anyOf?.find(({ type }) => type === 'object') ?? node;
}

test('every key is described, and every default is accepted', () => {
  const undescribed = (node: JsonSchemaNode, path: string): string[] => {
    const { properties = {}, additionalProperties: named } = mappingOf(node);
    return [
      ...(named ? undescribed(named, `${path}*.`) : []),
      ...(node.items === undefined ? [] : undescribed(node.items, `${path}[].`)),
      ...Object.entries(properties).flatMap(([key, one]) => {
        const inner = undescribed(one, `${path}${key}.`);
        return /^\S.*\.$/.test(one.description ?? '') ? inner : [path + key].concat(inner);
      }),
    ];
  };
  expect(undescribed(jsonSchema(), '')).toEqual([]);
  const defaults = Object.entries(jsonSchema().properties ?? {}).flatMap(([key, node]) =>
    node.default === undefined ? [] : [[key, node.default]],
  );
  expect(defaults.length).toBeGreaterThan(20);
  expect(validator.safeParse(Object.fromEntries(defaults)).success).toBe(true);
});

test('what values are read by is, key by key, what editors get', () => {
  const whole = jsonSchema().properties ?? {};
  expect(Object.keys(CONFIG_NODE.properties ?? {})).toEqual(Object.keys(whole));
  expect(Object.entries(CONFIG_NODE.properties ?? {}).length).toBeGreaterThan(40);
  for (const [key, node] of Object.entries(CONFIG_NODE.properties ?? {})) {
    const { $schema: _, ...own } = node as JsonSchemaNode & { $schema?: string };
    expect([key, own]).toEqual([key, whole[key]]);
  }
});
