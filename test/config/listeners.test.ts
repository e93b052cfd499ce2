import { expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { loadText, problemsOf } from './load-text.ts';

function listenersOf(text: string, around = {}) {
  const result = loadText(text, around);
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  const { listeners } = result.settings;
  return listeners.map(({ path, address }) => ({ path, ...address }));
}

test.each([
  ['', [{ path: 'port', kind: 'tcp', host: undefined, port: 8080 }]],
  ['listeners: [{ port: 80 }]', [{ path: 'listeners.0', kind: 'tcp', host: undefined, port: 80 }]],
  [
    'port: 81\nlisteners: [{ port: 80, host: "*" }, { port: 82, host: "[::1]" }]',
    [
      { path: 'port', kind: 'tcp', host: undefined, port: 81 },
      { path: 'listeners.0', kind: 'tcp', host: undefined, port: 80 },
      { path: 'listeners.1', kind: 'tcp', host: '::1', port: 82 },
    ],
  ],
  [
    'listeners: [{ unix: a.sock }, { unix: /run/b.sock, mode: "666" }]',
    [
      { path: 'listeners.0', kind: 'unix', path_: '/nowhere/a.sock', mode: 0o660 },
      { path: 'listeners.1', kind: 'unix', path_: '/run/b.sock', mode: 0o666 },
    ],
  ],
])('%j', (text, expected) => {
  const result = loadText(text);
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  const found = result.settings.listeners.map(({ path, address }) =>
    address.kind === 'unix'
      ? { path, kind: 'unix', path_: address.path, mode: address.mode }
      : { path, ...address },
  );
  expect(found).toEqual(expected);
});

test('the listener of port stands beside them where a variable or a flag gives it', () => {
  const text = 'listeners: [{ port: 80 }]';
  const ofPort = { path: 'port', kind: 'tcp', host: '127.0.0.1', port: 81 };
  const [first] = listenersOf(text, { env: { PROXY_LISTEN_ADDR: '127.0.0.1:81' } });
  expect(first).toEqual(ofPort);
});

test('what is printed means the same', () => {
  const text = 'listeners: [{ port: 80, host: "::1" }, { unix: /run/b.sock, mode: "0600" }]';
  const result = loadText(text);
  if (!result.ok) throw new Error('not loaded');
  const { config, origins } = effectiveConfig(result);
  expect(config['listeners']).toEqual([
    { port: 80, host: '::1', redirect_to_https: false, h2c: false },
    { unix: '/run/b.sock', mode: '0600', redirect_to_https: false, h2c: false },
  ]);
  expect(origins['listeners.1.unix']).toBe('file c.yaml:1');
  expect(listenersOf(JSON.stringify(config), { name: 'c.json' })).toEqual(listenersOf(text));
});

test.each([
  ['listeners: []', '1:12: listeners: must not be empty, not a list'],
  ['listeners: [80]', '1:13: listeners.0: must be a mapping, such as { port: 8080 }, not 80'],
  [
    'listeners: [{}]',
    '1:13: listeners.0: must have a port, the path of a unix socket, or the name of one that is open (fd)',
  ],
  [
    'listeners: [{ port: 80, unix: a }]',
    '1:31: listeners.0.unix: must not stand beside port: a listener has one address',
  ],
  ['listeners: [{ unix: a, host: "*" }]', '1:30: listeners.0.host: is of a port'],
  ['listeners: [{ port: 80, mode: "0600" }]', '1:31: listeners.0.mode: is of a unix socket'],
  [
    'listeners: [{ unix: a, mode: 0660 }]',
    '1:30: listeners.0.mode: must be octal digits in quotes, such as "0660", not 660',
  ],
  [
    'listeners: [{ unix: a, mode: "0888" }]',
    '1:30: listeners.0.mode: must be octal digits, such as "0660", not "0888"',
  ],
  [
    'listeners: [{ unix: "@a" }]',
    '1:21: listeners.0.unix: must be a path: abstract sockets have none',
  ],
  [
    `listeners: [{ unix: /${'a'.repeat(108)} }]`,
    `1:13: listeners.0: the path of a socket may have 107 bytes, and /${'a'.repeat(108)} has 109`,
  ],
  [
    `listeners: [{ unix: /${'ä'.repeat(46)}/a }]`,
    `1:13: listeners.0: the folder of a socket may have 88 bytes, and that of /${'ä'.repeat(46)}/a has 93`,
  ],
  [
    'listeners: [{ port: 80 }, { port: 80, host: 127.0.0.1 }]',
    "1:27: listeners.1: 127.0.0.1:80 can't be listened on beside *:80 of listeners.0",
  ],
  [
    'listeners: [{ port: 80, host: 0.0.0.0 }, { port: 80, host: "::" }]',
    "1:42: listeners.1: [::]:80 can't be listened on beside 0.0.0.0:80 of listeners.0",
  ],
  [
    'listeners: [{ port: 80, host: 127.0.0.1 }, { port: 80, host: "::ffff:7f00:1" }]',
    "1:44: listeners.1: [::ffff:7f00:1]:80 can't be listened on beside 127.0.0.1:80 of listeners.0",
  ],
  [
    'port: 80\nlisteners: [{ port: 80 }]',
    "2:13: listeners.0: *:80 can't be listened on beside *:80 of port",
  ],
  [
    'listeners: [{ unix: /a/b }, { unix: /a/../a/b }]',
    "1:29: listeners.1: unix:/a/b can't be listened on beside unix:/a/b of listeners.0",
  ],
  [
    'admin_port: 80\nlisteners: [{ port: 80, host: 10.0.0.1 }]',
    '2:13: listeners.0: must differ from admin_port, which is 80 too (c.yaml:1)',
  ],
  [
    'listeners: [{ fd: a, unix: b }]',
    '1:19: listeners.0.fd: must not stand beside unix: a listener has one address',
  ],
  [
    'listeners: [{ fd: "a:b" }]',
    '1:19: listeners.0.fd: must be the name of a socket: visible ASCII without spaces and colons, not "a:b"',
  ],
  [
    'listeners: [{ port: 80, redirect_to_https: true }]',
    '1:44: listeners.0.redirect_to_https: needs a listener with tls and a port, to send clients to',
  ],
  [
    'listeners: [{ port: 80, proxy_protocol: { from: [] } }]',
    '1:49: listeners.0.proxy_protocol.from: must not be empty: nobody else is believed, not a list',
  ],
  [
    'listeners: [{ port: 80, proxy_protocol: { from: [10.0.0.0/33] } }]',
    '1:50: listeners.0.proxy_protocol.from.0: must be an IP address or a CIDR block, such as 10.0.0.0/8, not "10.0.0.0/33"',
  ],
  [
    'listeners: [{ port: 80, proxy_protocol: true }]',
    '1:41: listeners.0.proxy_protocol: must be false, or a mapping, such as { from: [10.0.0.0/8] }, not true',
  ],
  [
    'host: 127.0.0.1\nlisteners: [{ port: 80 }]',
    '1:1: host: is of the listener of port, and there is none beside listeners (write it into the listener)',
  ],
  [
    'listeners: [{ port: 80 }]\nbackends: ["http://localhost:80"]',
    '2:12: backends.0: http://localhost is where Fairlead itself listens: every request to it would come back',
  ],
])('%s', (text, problem) => {
  expect(problemsOf(text)).toEqual([`c.yaml:${problem}`]);
});

test('what is printed of a proxy is what was written', () => {
  const text = 'listeners: [{ fd: web, proxy_protocol: { from: [10.1.0.0/16, unix, "::1"] } }]';
  const result = loadText(text);
  if (!result.ok) throw new Error('not loaded');
  expect(result.settings.listeners[0].proxyProtocol).toEqual({
    from: ['10.1.0.0/16', '::1/128'],
    fromUnix: true,
  });
  expect(effectiveConfig(result).config['listeners']).toEqual([
    {
      fd: 'web',
      redirect_to_https: false,
      h2c: false,
      proxy_protocol: { from: ['10.1.0.0/16', '::1/128', 'unix'] },
    },
  ]);
});

test('two addresses of one port are two listeners', () => {
  const text = 'listeners: [{ port: 80, host: 127.0.0.1 }, { port: 80, host: "::1" }]';
  expect(listenersOf(text)).toHaveLength(2);
});

test('a backend at its own Unix socket is Fairlead itself, and one at another is not', () => {
  const listening = 'listeners: [{ unix: /run/b.sock }]\n';
  expect(problemsOf(`${listening}backends: ["unix:/run/x/../b.sock"]`)).toEqual([
    'c.yaml:2:12: backends.0: unix:/run/b.sock is where Fairlead itself listens: every request to it would come back',
  ]);
  expect(problemsOf(`${listening}backends: ["unix:/run/c.sock"]`)).toEqual([]);
  // Its host and port are but words.
  expect(problemsOf('port: 80\nbackends: ["unix:/run/c.sock"]')).toEqual([]);
});
