/** Who may do what with which token: a file of tokens, as it changes, at one control plane. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestOf, makeToken } from '../../src/config/read/admin-token.ts';
import { parseTokens } from '../../src/config/read/admin-tokens.ts';
import { blockOf } from '../../src/control/admin/address-block.ts';
import { TokenAttempts } from '../../src/control/admin/token-attempts.ts';
import { eventStream } from '../support/event-stream.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { backend, recordLog } from './fixtures.ts';
import { rawAnswer, running } from './running.ts';

const viewer = makeToken('grafana', 'viewer');
const operator = makeToken('ci', 'operator');
const late = makeToken('late', 'operator');

const bearer = ({ token }: { readonly token: string }) => ({ Authorization: `Bearer ${token}` });

async function withTokens(text = `${viewer.line}\n${operator.line}\n`) {
  const file = join(temporaryFolder(), 'tokens');
  writeFileSync(file, text);
  const proxy = await running({
    backends: [backend('http://127.0.0.1:1')],
    admin: {
      host: '127.0.0.1',
      port: 0,
      token: undefined,
      tokens: { file, ...parseTokens(text) },
      rates: null,
      isOff: false,
      unix: null,
      tls: undefined,
    },
  });
  return { ...proxy, file };
}

describe('a token of the file', () => {
  it('may do what its role may, and is named in what is told', async () => {
    const { call, log } = await withTokens();
    const as = async (
      who: { readonly token: string },
      method: string,
      path: string,
      body?: unknown,
    ) => (await call(method, path, body, bearer(who))).status;
    expect(await as(viewer, 'GET', '/status')).toBe(200);
    expect(await as(viewer, 'HEAD', '/config')).toBe(200);
    expect(await as(viewer, 'GET', '/metrics')).toBe(200);
    for (const [method, path] of [
      ['POST', '/strategy'],
      ['POST', '/backends'],
      ['DELETE', '/backends/0'],
      ['PATCH', '/pools/default/backends/0'],
      ['POST', '/reload'],
      ['POST', '/config:validate'],
      ['DELETE', '/overrides'],
    ] as const) {
      expect([path, (await call(method, path, {}, bearer(viewer))).json]).toEqual([
        path,
        expect.objectContaining({
          status: 403,
          code: 'ERR_OPERATOR_NEEDED',
          hint: expect.any(String),
        }),
      ]);
    }
    expect(await as(viewer, 'POST', '/status')).toBe(405);
    expect(await as(late, 'POST', '/strategy', {})).toBe(401);
    expect(await as(operator, 'PUT', '/strategy', { strategy: 'ip-hash' })).toBe(200);
    const changed = await waitFor(async () =>
      (await log()).split('\n').find((line) => line.includes('strategy.changed')),
    );
    expect(JSON.parse(changed)).toMatchObject({ actor: { token: 'ci' } });
    expect(await log()).not.toContain(operator.token);
  });

  it('is not taken from a field that is there twice, nor from the query, which no line has', async () => {
    const { call, log, fairlead } = await withTokens();
    const path = `/status?token=${operator.token}`;
    expect((await call('GET', path)).status).toBe(401);
    const twice = `Authorization: Bearer x\r\nAuthorization: Bearer ${operator.token}\r\n`;
    expect(
      await rawAnswer(
        fairlead.adminPort,
        `GET /status HTTP/1.1\r\nHost: a\r\n${twice}Connection: close\r\n\r\n`,
      ),
    ).toMatch(/^HTTP\/1\.1 400 /);
    expect(await log()).not.toContain(operator.token);
  });

  it('is good, and not any more, as soon as the file says so; event streams end with it', async () => {
    const { call, file, fairlead, log } = await withTokens();
    const status = async (who: { readonly token: string }) =>
      (await call('GET', '/status', undefined, bearer(who))).status;
    expect([await status(late), await status(viewer)]).toEqual([401, 200]);
    const url = `http://127.0.0.1:${fairlead.adminPort}`;
    const stream = await eventStream(url, '/events', bearer(viewer));
    expect(stream.status).toBe(200);
    writeFileSync(file, `${late.line}\n${operator.line}\n`);
    await waitFor(async () => (await status(late)) === 200);
    expect(await status(viewer)).toBe(401);
    await stream.ended;
    // What is malformed, and what is gone, takes nobody's right away.
    writeFileSync(file, 'ci operator\n');
    await waitFor(async () => (await log()).includes('tokens.refused'));
    rmSync(file);
    await waitFor(async () => (await log()).includes(`cannot read ${file}`));
    expect([await status(late), await status(operator)]).toEqual([200, 200]);
    writeFileSync(file, '# nobody\n');
    await waitFor(async () => (await status(late)) === 401);
    expect((await call('GET', '/status')).status).toBe(401);
  });
});

describe('wrong tokens', () => {
  const right = digestOf('right');
  const wrong = digestOf('wrong');

  function attempts() {
    const log = recordLog();
    let nowMs = 0;
    const the = new TokenAttempts({ log, now: () => nowMs });
    const shows = (address: string, digest: Buffer): 'let in' | 'wrong' | number => {
      try {
        the.check(address, digest);
      } catch (error) {
        return (error as { status: number }).status;
      }
      the.note(address, digest, digest === right);
      return digest === right ? 'let in' : 'wrong';
    };
    return {
      shows,
      log,
      pass: (ms: number) => {
        nowMs += ms;
      },
    };
  }

  it('of one address are not looked at any more after twenty, and one a second then', () => {
    const { shows, pass, log } = attempts();
    for (let count = 0; count < 20; count++) expect(shows('10.0.0.1', wrong)).toBe('wrong');
    expect([shows('10.0.0.1', wrong), shows('10.0.0.1', right)]).toEqual([429, 429]);
    expect(log.events()).toEqual(['admin.guessed']);
    expect(shows('10.0.0.2', right)).toBe('let in');
    pass(1000);
    expect([shows('10.0.0.1', wrong), shows('10.0.0.1', wrong)]).toEqual(['wrong', 429]);
    pass(60_000);
    expect(shows('10.0.0.1', right)).toBe('let in');
  });

  it('do not lock out the token that was right from there before', () => {
    const { shows } = attempts();
    expect(shows('127.0.0.1', right)).toBe('let in');
    for (let count = 0; count < 100; count++) shows('127.0.0.1', wrong);
    expect([shows('127.0.0.1', wrong), shows('127.0.0.1', right)]).toEqual([429, 'let in']);
  });

  it('of many addresses are forgotten, the oldest first', () => {
    const { shows } = attempts();
    for (let count = 0; count < 20; count++) shows('10.0.0.1', wrong);
    for (let count = 0; count < 4096; count++) shows(`10.1.${count >> 8}.${count & 255}`, wrong);
    expect(shows('10.0.0.1', wrong)).toBe('wrong');
  });

  it('count for the whole block that one client is given', () => {
    expect(
      ['10.0.0.1', '::ffff:10.0.0.1', '2001:db8::1', '2001:db8:0:0:5::1', '::1', ''].map(blockOf),
    ).toEqual(['10.0.0.1', '10.0.0.1', '2001:db8:0:0', '2001:db8:0:0', '0:0:0:0', '']);
  });
});
