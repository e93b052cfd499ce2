import { expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { type JsonSchemaNode, jsonSchema } from '../../src/config/schema.ts';

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
  'enable_sticky_sessions: true',
  'timeouts: { conect: 1s }',
])('refuses %s', (text) => {
  expect(isAccepted(text)).toBe(false);
});

test('every key is described, and every default is accepted', () => {
  const undescribed = (node: JsonSchemaNode, path: string): string[] =>
    Object.entries(node.properties ?? {}).flatMap(([key, below]) => {
      const inner = undescribed(below, `${path}${key}.`);
      return /^\S.*\.$/.test(below.description ?? '') ? inner : [path + key].concat(inner);
    });
  expect(undescribed(jsonSchema(), '')).toEqual([]);
  const defaults = Object.entries(jsonSchema().properties ?? {}).flatMap(([key, node]) =>
    node.default === undefined ? [] : [[key, node.default]],
  );
  expect(defaults.length).toBeGreaterThan(20);
  expect(validator.safeParse(Object.fromEntries(defaults)).success).toBe(true);
});
