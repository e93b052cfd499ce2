/** From what the APIs answer to backends: what is taken, what is left out, and what garbage does. */
import { expect, test } from 'vitest';
import { parsedAs } from '../../src/control/discovery/api-source.ts';
import { nextIndex } from '../../src/control/discovery/consul-source.ts';
import { containers, backendsOf as ofContainers } from '../../src/control/discovery/containers.ts';
import { versionOf } from '../../src/control/discovery/docker-source.ts';
import {
  endpointSlice,
  backendsOf as ofSlices,
} from '../../src/control/discovery/endpoint-slices.ts';

test.each([
  [0, '10', 10],
  [10, '12', 12],
  [10, '9', 0],
  [0, '0', 1],
  [0, undefined, 1],
  [0, 'x', 1],
  [10, undefined, 0],
])('after index %i, %s of Consul means %i', (before, header, next) => {
  expect(nextIndex(before, header)).toBe(next);
});

test('the version of Docker is the newest that both speak', () => {
  expect(versionOf('1.41')).toBe('1.41');
  expect(versionOf('1.99')).toBe('1.51');
  expect(versionOf('2.0')).toBe('1.51');
  expect(() => versionOf('1.12')).toThrow('at least 1.24');
  expect(() => versionOf(undefined)).toThrow('not the API of Docker');
});

const TERMS = { tls: false, basePath: '', port: 0 };

function container(more: object) {
  const all = {
    Id: 'c',
    Names: ['/web'],
    NetworkSettings: { Networks: { a: { IPAddress: '10.0.0.1' } } },
    Ports: [{ PrivatePort: 80, Type: 'tcp' }],
    ...more,
  };
  return containers.parse([all]);
}

test.each([
  ['', {}, 'http://10.0.0.1'],
  ['the label before the config', { Labels: { 'fairlead.port': '81' } }, 'http://10.0.0.1:81'],
  [
    'one port, published twice',
    { Ports: [{ PrivatePort: 80 }, { PrivatePort: 80 }, { PrivatePort: 9, Type: 'udp' }] },
    'http://10.0.0.1',
  ],
  [
    'IPv6 alone',
    { NetworkSettings: { Networks: { a: { IPAddress: '', GlobalIPv6Address: 'fd00::1' } } } },
    'http://[fd00::1]',
  ],
  [
    'the network of the host',
    { NetworkSettings: { Networks: { host: { IPAddress: '' } } } },
    'http://127.0.0.9',
  ],
  [
    'a label for the network',
    {
      Labels: { 'fairlead.network': 'b' },
      NetworkSettings: { Networks: { a: { IPAddress: '10.0.0.1' }, b: { IPAddress: '10.0.0.2' } } },
    },
    'http://10.0.0.2',
  ],
])('a container is found: %s', (_what, more, url) => {
  const { found, leftOut } = ofContainers(container(more), {
    ...TERMS,
    network: '',
    host: '127.0.0.9',
  });
  expect(leftOut).toEqual([]);
  expect(found.map((one) => one.url)).toEqual([url]);
});

test.each([
  [{ Ports: [] }, 'exposes no port'],
  [{ Ports: [{ PrivatePort: 1 }, { PrivatePort: 2 }] }, 'exposes 2 ports'],
  [{ Labels: { 'fairlead.port': 'http' } }, 'has the label fairlead.port=http'],
  [{ Labels: { 'fairlead.weight': '-1' } }, 'has the label fairlead.weight=-1'],
  [{ NetworkSettings: null }, 'is in no network'],
  [{ NetworkSettings: { Networks: { a: {}, b: {} } } }, 'is in the networks a, b: say which'],
  [{ Labels: { 'fairlead.network': 'x' } }, 'is not in the network x (but in a)'],
])('a container is left out: %j', (more, sentence) => {
  const { found, leftOut } = ofContainers(container(more), {
    ...TERMS,
    network: '',
    host: '127.0.0.9',
  });
  expect(found).toEqual([]);
  expect(leftOut[0]).toContain(`the container web ${sentence}`);
});

function slices(...all: object[]) {
  return all.map((one, index) =>
    endpointSlice.parse({
      metadata: { name: `s${index}` },
      ports: [{ name: 'http', port: 80 }],
      ...one,
    }),
  );
}

const endpoint = (address: string, uid: string, ready: boolean | null = true) => ({
  addresses: [address],
  targetRef: { uid },
  conditions: { ready },
});

test('of a pod with both families one address is used, and only those that are ready', () => {
  const { found, leftOut } = ofSlices(
    slices(
      {
        addressType: 'IPv4',
        endpoints: [endpoint('10.0.0.1', 'a'), endpoint('10.0.0.2', 'b', false)],
      },
      {
        addressType: 'IPv6',
        endpoints: [endpoint('fd00::1', 'a'), endpoint('fd00::3', 'c', null)],
      },
      { addressType: 'FQDN', endpoints: [{ addresses: ['a.test'] }] },
      { endpoints: null, ports: null },
    ),
    TERMS,
  );
  expect(found.map(({ url }) => url)).toEqual(['http://10.0.0.1', 'http://[fd00::3]']);
  expect(leftOut).toEqual(['the slice s2 has names: only addresses are taken']);
});

test('where none is ready, those that serve while they end are used', () => {
  const ending = { ready: false, serving: true, terminating: true };
  const endpoints = [
    { addresses: ['10.0.0.1'], conditions: ending },
    { addresses: ['10.0.0.2'], conditions: { ...ending, serving: false } },
  ];
  expect(ofSlices(slices({ endpoints }), TERMS).found.map(({ url }) => url)).toEqual([
    'http://10.0.0.1',
  ]);
  const ready = { addresses: ['10.0.0.3'] };
  const { found } = ofSlices(slices({ endpoints: [...endpoints, ready] }), TERMS);
  expect(found.map(({ url }) => url)).toEqual(['http://10.0.0.3']);
});

test.each([
  [
    0,
    [
      { name: 'a', port: 1 },
      { name: 'b', port: 2 },
    ],
    undefined,
  ],
  [
    'b',
    [
      { name: 'a', port: 1 },
      { name: 'b', port: 2 },
    ],
    2,
  ],
  ['c', [{ name: 'a', port: 1 }], undefined],
  [8080, null, 8080],
])('port %s of %j', (port, ports, wanted) => {
  const all = slices({ endpoints: [{ addresses: ['10.0.0.1'] }], ports });
  const { found, leftOut } = ofSlices(all, { ...TERMS, port });
  expect(found[0]?.port).toBe(wanted);
  expect(leftOut.length).toBe(wanted === undefined ? 1 : 0);
});

test.each([
  ['<html>', 'it answers no JSON: <html>'],
  ['{"a":1}', "it answers what can't be understood"],
  ['[{"Id":3}]', "it answers what can't be understood: 0.Id"],
])('%s is not taken for a list', (text, reason) => {
  expect(() => parsedAs(text, containers)).toThrow(reason);
});
