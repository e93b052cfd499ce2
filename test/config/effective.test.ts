import { expect, test } from 'vitest';
import type { EffectiveConfig } from '../../src/config/effective.ts';
import { effectiveConfig } from '../../src/config/effective.ts';
import { TOP_LEVEL_KEYS } from '../../src/config/schema.ts';
import { type Around, loadText, settingsOf } from './load-text.ts';

/** Nearly every key, none at its default. */
const FULL = `
port: 1
host: "::1"
admin_port: 2
admin: { host: localhost, token: secret }
threads: 3
strategy: least-conn
backends: [":3001", { url: "https://b", weight: 7 }]
health_check_method: http
health_check_path: /up?x=1
health_check_frequency: 1m0.5s
health_check_timeout: 3s
health_check_rise: 4
health_check_fall: 5
request_timeout: 6s
timeouts: { head: 1s, connect: 2h, idle: 3m, keep_alive: 4s, backend_keep_alive: 5s, tunnel: 6s, drain: 0s }
limits: { request_line: 1000, head: 1MiB, fields: 5, body: 1GB, client_connections: 6 }
max_connections: 7
host_header: example.com
trusted_proxies: [10.0.0.0/8]
forwarded: true
access_log: /srv/fairlead/access.log
access_log_format: combined
log_level: debug
state_file: /srv/fairlead/state
`;

function effective(text: string, around: Around = {}): EffectiveConfig {
  const result = loadText(text, around);
  if (!result.ok) throw new Error('has problems');
  return effectiveConfig(result.settings, result.origins);
}

test.each(['', FULL, 'access_log: false'])('read back, it means the same: %s', (text) => {
  const { config } = effective(text);
  const readBack = settingsOf(JSON.stringify(config), { name: 'c.json' });
  const { token } = readBack.admin;
  expect(token === '***' ? 'secret' : token).toBe(settingsOf(text).admin.token);
  expect({ ...readBack, admin: 0 }).toEqual({ ...settingsOf(text), admin: 0 });
});

test('secrets are hidden', () => {
  expect(JSON.stringify(effective(FULL))).not.toContain('secret');
  expect(effective(FULL).config).toMatchObject({ admin: { token: '***' } });
});

test('every key is there, but for other names of one and what means nothing yet', () => {
  const without = new Set(['request_timeout', 'backend_timeout', 'sticky_session_ttl']);
  expect(Object.keys(effective('').config)).toEqual(
    TOP_LEVEL_KEYS.filter((key) => !without.has(key)),
  );
});

test('every value has its origin', () => {
  const around = {
    env: { FAIRLEAD_LOG_LEVEL: 'warn' },
    flags: [{ name: '--port', path: ['port'], value: '5' }],
  };
  const text = 'backends:\n  - :1\n  - { url: ":2",\n      weight: 3 }\nrequest_timeout: 1s\n';
  expect(effective(text, around).origins).toMatchObject({
    port: 'flag --port',
    log_level: 'environment FAIRLEAD_LOG_LEVEL',
    backends: 'file c.yaml:1',
    'backends.0': 'file c.yaml:2',
    'backends.1.url': 'file c.yaml:3',
    'backends.1.weight': 'file c.yaml:4',
    'timeouts.response': 'file c.yaml:5',
    'timeouts.head': 'default',
    admin_port: 'default',
  });
});
