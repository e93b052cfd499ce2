import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { http2FaultLog, proxyFaultLog } from '../../src/control/listeners/listener-faults.ts';
import type { Http2FaultMessage, NoProxyHeaderMessage } from '../../src/snapshot/messages.ts';
import { recordLog } from './fixtures.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function fault(more: Partial<NoProxyHeaderMessage> = {}): NoProxyHeaderMessage {
  return {
    kind: 'no-proxy-header',
    listenerId: 0,
    listener: '*:8080',
    count: 1,
    peer: '10.0.0.1',
    came: 'GET / HTTP/1.1\\r\\n',
    waitedMs: 0,
    ...more,
  };
}

test('the first is told at once, the others once a minute with their number, and nothing when there were none', () => {
  const log = recordLog();
  const faults = proxyFaultLog(log);
  faults.add(fault());
  expect(log.lines).toEqual([
    {
      level: 'warn',
      event: 'listener.no_proxy_header',
      message:
        '*:8080: 10.0.0.1 is listed in proxy_protocol.from and said "GET / HTTP/1.1\\r\\n" where a PROXY header begins; its connection was closed',
      fields: {
        listener: '*:8080',
        peer: '10.0.0.1',
        came: 'GET / HTTP/1.1\\r\\n',
        count: 1,
      },
    },
  ]);
  for (let second = 0; second < 59; second++) {
    faults.add(fault({ count: 100, peer: '10.0.0.2' }));
    vi.advanceTimersByTime(1_000);
  }
  expect(log.lines).toHaveLength(1);
  vi.advanceTimersByTime(1_000);
  expect(log.lines.map(({ fields }) => [fields?.['peer'], fields?.['count']])).toEqual([
    ['10.0.0.1', 1],
    ['10.0.0.2', 5_900],
  ]);
  vi.advanceTimersByTime(3_600_000);
  expect(log.lines).toHaveLength(2);
  faults.add(fault({ waitedMs: 10_000, came: '' }));
  expect(log.lines[2]?.message).toContain(
    'sent no whole PROXY header within 10s (timeouts.head), but nothing',
  );
});

test('each listener is told of by itself', () => {
  const log = recordLog();
  const faults = proxyFaultLog(log);
  faults.add(fault());
  faults.add(fault({ listenerId: 1, listener: 'unix:/a', peer: '' }));
  faults.add(fault());
  expect(log.lines.map(({ fields }) => fields?.['listener'])).toEqual(['*:8080', 'unix:/a']);
  expect(log.lines[1]?.message).toContain('unix:/a: a client of the unix socket is listed');
});

test('what has come since is told at the end', () => {
  const log = recordLog();
  const faults = proxyFaultLog(log);
  faults.add(fault());
  faults.add(fault({ count: 3 }));
  faults.stop();
  vi.advanceTimersByTime(60_000);
  expect(log.lines.map(({ fields }) => fields?.['count'])).toEqual([1, 3]);
});

const http2Fault: Http2FaultMessage = {
  kind: 'client-fault',
  listenerId: 0,
  listener: '*:8443',
  count: 1,
  peer: '10.0.0.1',
  code: 'ERR_CLIENT_HTTP2',
  error: 'PROTOCOL_ERROR',
  rule: 'HEADERS on stream 2, which is not open',
};

test('of HTTP/2 it is the rule that is told, of the first at once and of the others in a minute', () => {
  const log = recordLog();
  const faults = http2FaultLog(log);
  faults.add(http2Fault);
  faults.add({
    ...http2Fault,
    count: 7,
    peer: '',
    code: 'ERR_CLIENT_FLOOD',
    error: 'ENHANCE_YOUR_CALM',
    rule: 'too many resets (limits.http2_resets)',
  });
  expect(log.lines).toEqual([
    {
      level: 'warn',
      event: 'listener.client_fault',
      message:
        '*:8443: 10.0.0.1 breaks the rules of HTTP/2: HEADERS on stream 2, which is not open (PROTOCOL_ERROR); its connection was ended',
      fields: {
        listener: '*:8443',
        peer: '10.0.0.1',
        code: 'ERR_CLIENT_HTTP2',
        http2_error: 'PROTOCOL_ERROR',
        rule: 'HEADERS on stream 2, which is not open',
        count: 1,
      },
    },
  ]);
  vi.advanceTimersByTime(60_000);
  expect(log.lines[1]).toMatchObject({
    message:
      '*:8443: a client of the unix socket costs more than it may: too many resets (limits.http2_resets) (ENHANCE_YOUR_CALM); 7 connections were ended for the like',
    fields: { peer: 'unix', code: 'ERR_CLIENT_FLOOD', count: 7 },
  });
});
