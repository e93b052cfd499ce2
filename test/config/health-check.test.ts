/** The keys of a health check: what they mean, what is wrong with them and where, and what is not shown. */
import { expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { loadText, problemsOf, settingsOf } from './load-text.ts';

const STATUSES = 'must be a status or a range of them, from 200 to 599, such as 204 or 200-299';
const VALUE = 'must be visible ASCII, with white space only in between: no line breaks';

test.each([
  [
    'health_check_expect_status: []',
    '1:29: health_check_expect_status: must name at least one status',
  ],
  ['health_check_expect_status: [101]', `1:30: health_check_expect_status.0: ${STATUSES}, not 101`],
  [
    'health_check_expect_status: [2xx]',
    `1:30: health_check_expect_status.0: ${STATUSES}, not "2xx"`,
  ],
  [
    'health_check_expect_status: [299-200]',
    '1:30: health_check_expect_status.0: ends before it begins: write 200-299',
  ],
  ['health_check_expect_body: ""', '1:27: health_check_expect_body: must not be empty'],
  [
    'health_check_port: 0',
    '1:20: health_check_port: must be a whole number from 1 to 65535, not 0',
  ],
  [
    'health_check_host: "a b"',
    '1:20: health_check_host: must be a host name, with or without a port, not "a b"',
  ],
  [
    'health_check_headers: { "a b": x }',
    '1:25: health_check_headers.a b: must be the name of a header field, such as Authorization',
  ],
  ['health_check_headers: { a: "x\\r\\nHost: y" }', `1:28: health_check_headers.a: ${VALUE}`],
  ['health_check_headers: { a: " x" }', `1:28: health_check_headers.a: ${VALUE}`],
  [
    'health_check_headers: { HOST: x }',
    '1:31: health_check_headers.HOST: HOST is the key `host`, not one of the headers',
  ],
  [
    'health_check_headers: { transfer-encoding: chunked }',
    '1:44: health_check_headers.transfer-encoding: transfer-encoding would announce a body, and a check has none',
  ],
  [
    'health_check_headers: { X-A: "1", x-a: "2" }',
    '1:40: health_check_headers.x-a: is the same field as X-A',
  ],
  [
    'health_check_headers: { __proto__: x }',
    '1:25: health_check_headers.__proto__: must not be a name here',
  ],
  [
    'pools: { web: { health_check: { headers: { __proto__: x } } } }',
    '1:44: pools.web.health_check.headers.__proto__: must not be a name here',
  ],
])('%s', (text, problem) => {
  expect(problemsOf(text)).toEqual([`c.yaml:${problem}`]);
});

const methodOf = (text: string) => settingsOf(text).healthCheck.method;

test('who says what is expected has a page in mind: checks are by http', () => {
  expect(methodOf('port: 1')).toBe('auto');
  expect(methodOf('health_check_expect_status: [404]')).toBe('http');
  expect(methodOf('health_check_expect_body: ok')).toBe('http');
  expect(methodOf('health_check_headers: { X: "1" }')).toBe('auto');
});

test('from the environment', () => {
  const env = {
    FAIRLEAD_HEALTH_CHECK_EXPECT_STATUS: '200-204, 404',
    FAIRLEAD_HEALTH_CHECK_HEADERS: '{"X-Check":"1"}',
    FAIRLEAD_HEALTH_CHECK_PORT: '81',
  };
  expect(settingsOf('', { env }).healthCheck).toMatchObject({
    expectStatus: [
      [200, 204],
      [404, 404],
    ],
    headers: [['X-Check', '1']],
    port: 81,
  });
});

test('what a check by TCP does not ask for is told', () => {
  const text =
    'health_check_method: tcp\nhealth_check_host: a.test\nhealth_check_expect_status: [200-299]\nhealth_check_expect_body: ok';
  expect(loadText(text)).toMatchObject({
    notes: [
      'health_check_host has no effect while health_check_method is tcp',
      'health_check_expect_body has no effect while health_check_method is tcp',
    ],
  });
});

test('what a check of gRPC does not ask for is told, and what only that asks for', () => {
  const text =
    'health_check_method: grpc\nhealth_check_path: /up\nhealth_check_host: a.test\nhealth_check_service: shop.v1.Cart';
  expect(loadText(text)).toMatchObject({
    settings: { pools: [{ healthCheck: { method: 'grpc', service: 'shop.v1.Cart' } }] },
    notes: ['health_check_path has no effect while health_check_method is grpc'],
  });
  expect(loadText('health_check_method: http\nhealth_check_service: a.B')).toMatchObject({
    notes: ['health_check_service has no effect while health_check_method is http'],
  });
});

test('the printed config means the same, and hides the fields that say who asks', () => {
  const text =
    'health_check_headers: { X-Check: "1", Authorization: Bearer abc, X-Api-Key: abc }\nhealth_check_expect_status: [200-204, 404]\nhealth_check_expect_body: ok';
  const loaded = loadText(text);
  if (!loaded.ok) throw new Error('not read');
  const { config } = effectiveConfig(loaded);
  expect(JSON.stringify(config)).not.toContain('abc');
  expect(config).toMatchObject({
    health_check_headers: { 'X-Check': '1' },
    health_check_expect_status: ['200-204', 404],
    health_check_expect_body: 'ok',
  });
  const again = settingsOf(JSON.stringify(config), { name: 'c.json' });
  expect(again.healthCheck).toMatchObject({
    expectBody: 'ok',
    headers: [['X-Check', '1'], {}, {}],
  });
});
