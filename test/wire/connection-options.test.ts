import { expect, test } from 'vitest';
import {
  createConnectionOptions,
  isPersistent,
  readConnectionOptions,
} from '../../src/data/wire/connection-options.ts';
import { getWith, held } from './parse.ts';

function optionsOf(...lines: readonly string[]): string {
  const options = createConnectionOptions();
  const head = held('request', getWith(...lines));
  options.close = true;
  options.nominated = new Set(['what was before']);
  readConnectionOptions(head, options);
  const names = [
    options.close ? 'close' : '',
    options.keepAlive ? 'keep-alive' : '',
    options.upgrade ? 'upgrade' : '',
    ...[...(options.nominated ?? [])].map((name) => `-${name}`),
  ];
  return names.filter((name) => name !== '').join(' ');
}

test.each([
  [[], ''],
  [['Connection: close'], 'close'],
  [['connection: CLOSE'], 'close'],
  [['Connection: keep-alive'], 'keep-alive'],
  [['Connection: Keep-Alive'], 'keep-alive'],
  [['Connection: Upgrade'], 'upgrade'],
  [['Connection: keep-alive, Upgrade'], 'keep-alive upgrade'],
  [['Connection: keep-alive,upgrade'], 'keep-alive upgrade'],
  [['Connection: keep-alive', 'Connection: Upgrade'], 'keep-alive upgrade'],
  [['Connection: ,, close ,,'], 'close'],
  [['Connection: close, X-A', 'Connection: x-b'], 'close -x-a -x-b'],
  [['Connection:'], ''],
  [['Connection: closed'], '-closed'],
  [['Connection: __proto__, constructor'], '-__proto__ -constructor'],
  [['Proxy-Connection: close'], ''],
])('%j', (lines, expected) => {
  expect(optionsOf(...lines)).toBe(expected);
});

test.each([
  'Host',
  'content-length',
  'Authorization',
  'Expect',
  'Max-Forwards',
  'Forwarded',
  'X-Forwarded-For',
  'X-FORWARDED-PROTO',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-Anything',
  'X-Real-IP',
  'X-Request-Id',
  'Via',
])('%s can not be nominated (CVE-2024-45410)', (name) => {
  expect(optionsOf(`Connection: ${name}`, `Connection: close, ${name} , x-a`)).toBe('close -x-a');
});

test.each([
  [1, '', true],
  [1, 'close', false],
  [1, 'keep-alive', true],
  [1, 'close, keep-alive', false],
  [0, '', false],
  [0, 'keep-alive', true],
  [0, 'keep-alive, close', false],
])('HTTP/1.%i with %j persists: %s', (minor, value, isPersisting) => {
  const options = createConnectionOptions();
  const head = held('request', getWith(`Connection: ${value}`));
  readConnectionOptions(head, options);
  expect(isPersistent(minor, options)).toBe(isPersisting);
});
