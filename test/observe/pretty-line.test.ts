import { describe, expect, it } from 'vitest';
import { prettyAccessLine, prettyLine } from '../../src/observe/pretty-line.ts';

const time = new Date(2026, 0, 2, 3, 4, 5, 6).toISOString();

/** What a line of the log says after its time and its level. */
function saidOf(more: object): string {
  const line = JSON.stringify({ level: 'info', time, backend: 'http://a', id: 7, ...more });
  return prettyLine(line, false).trimEnd().replace('03:04:05.006 INFO  ', '');
}

describe('log lines for eyes', () => {
  it('say when, how bad, what, and what else', () => {
    const line = JSON.stringify({
      level: 'warn',
      time,
      event: 'x',
      msg: 'http://a is DOWN',
      backend: 'http://a',
      id: 7,
    });
    expect(prettyLine(line, false)).toBe('03:04:05.006 WARN  http://a is DOWN id=7\n');
    expect(prettyLine(line, true)).toContain('\x1b[33mWARN \x1b[0m');
  });

  it('never send control characters of others to the terminal', () => {
    const line = JSON.stringify({ level: 'info', time, msg: '\x1b[2J\r\nfake', path: '\x9b' });
    // oxlint-disable-next-line no-control-regex -- that is what is looked for
    expect(prettyLine(line, false).trimEnd()).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
    expect(
      prettyAccessLine(
        JSON.stringify({ method: 'GET', path: '/\x1b[1m', status: 200, time }),
        false,
      ),
    ).toBe('03:04:05.006 GET /\\u001b[1m 200\n');
  });

  it('say of a request that failed what happened', () => {
    const line = JSON.stringify({
      time,
      method: 'GET',
      path: '/',
      status: 503,
      duration_ms: 0.3,
      error: 'ERR_NO_BACKEND',
      error_source: 'proxy',
      error_detail: 'the pool has 1 backend; http://a: unhealthy',
    });
    expect(prettyAccessLine(line, false)).toBe(
      '03:04:05.006 GET / 503 0.3 ms ERR_NO_BACKEND the pool has 1 backend; http://a: unhealthy\n',
    );
  });

  it('say in words who has changed what', () => {
    const changed = {
      msg: 'http://a is draining, weight 3',
      state: 'draining',
      weight: 3,
      backup: false,
      before: { state: 'enabled', weight: 1 },
      after: { state: 'draining', weight: 3 },
      actor: { token: 'ops', address: '10.0.0.7' },
    };
    expect(saidOf(changed)).toBe(
      'http://a is draining, weight 3 (state enabled → draining, weight 1 → 3) by token ops from 10.0.0.7 id=7 backup=false',
    );
    const removed = {
      msg: 'http://a removed',
      before: { state: 'enabled', weight: 1 },
      actor: { program: true },
    };
    expect(saidOf(removed)).toBe(
      'http://a removed (was state enabled, weight 1) by the program id=7',
    );
    // Of others, they are fields like any.
    expect(saidOf({ msg: 'x', before: 'y' })).toBe('x backend=http://a id=7 before=y');
  });

  it('leave what is no JSON as it is', () => {
    expect(prettyLine('hello\n', true)).toBe('hello\n');
    expect(prettyAccessLine('127.0.0.1 - - [x] "GET / HTTP/1.1" 200 5', false)).toBe(
      '127.0.0.1 - - [x] "GET / HTTP/1.1" 200 5\n',
    );
  });
});
