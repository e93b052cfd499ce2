import { chmod, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Registry } from '../../src/control/registry.ts';
import { readStateFile } from '../../src/control/state/state-file.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitFor } from '../support/wait-for.ts';
import { address, backend, type FlatSettings, settings } from './fixtures.ts';
import { loaded, running } from './running.ts';

const A = 'http://127.0.0.1:1';
const B = 'http://127.0.0.1:2';

function sticky(by: 'cookie' | 'ip', secret?: string): FlatSettings['sticky'] {
  const isCookie = by === 'cookie';
  return {
    key: { by, name: isCookie ? 'fairlead' : '' },
    ttlMs: 1000,
    secret,
    cookie: isCookie ? { sameSite: 'lax', secure: 'auto', domain: '', path: '/' } : null,
    learns: null,
    isShared: false,
  };
}

function tokensOf(registry: Registry): string[] {
  return registry
    .snapshot()
    .pools.flatMap(({ backends }) => backends.map(({ sessionToken }) => sessionToken));
}

function tokens(changes: Partial<FlatSettings>, from?: Registry): string[] {
  const registry = new Registry({
    settings: settings({ backends: [backend(A), backend(B)], ...changes }),
    threadCount: 1,
    ...(from && { operatorState: from.operatorState }),
  });
  return tokensOf(registry);
}

async function secretIn(path: string): Promise<string | undefined> {
  const result = await readStateFile(path);
  return result.kind === 'read' ? result.state.sessionSecret : undefined;
}

describe('session tokens', () => {
  it('are there for cookies only', () => {
    expect(tokens({})).toEqual(['', '']);
    expect(tokens({ sticky: sticky('ip', 'secret') })).toEqual(['', '']);
  });

  it('are opaque, one for each URL, and the same for the same secret', () => {
    const [a, b] = tokens({ sticky: sticky('cookie', 'secret') });
    expect(a).toMatch(/^[\w-]{22}$/);
    expect(b).toMatch(/^[\w-]{22}$/);
    expect(a).not.toBe(b);
    const turned = tokens({
      sticky: sticky('cookie', 'secret'),
      backends: [backend(B), backend(A)],
    });
    expect(turned).toEqual([b, a]);
    expect(tokens({ sticky: sticky('cookie', 'another') })).not.toContain(a);
  });

  it('have a secret of their own where the config names none, the same while the state is kept', () => {
    const first = new Registry({
      settings: settings({ backends: [backend(A)], sticky: sticky('cookie') }),
      threadCount: 1,
    });
    const [token] = tokensOf(first);
    expect(tokens({ sticky: sticky('cookie') })).not.toContain(token);
    first.defaultPool.planAdd(address(B), 1).commit();
    expect(tokens({ sticky: sticky('cookie') }, first)[0]).toBe(token);
  });

  it('keep their secret in the state file, which then is the owner’s alone', async () => {
    const stateFile = join(temporaryFolder(), 'state.json');
    const changes = { stateFile, backends: [backend(A)], sticky: sticky('cookie') };
    const first = await running(changes);
    const secret = await secretIn(stateFile);
    expect(secret).toMatch(/^[\w-]{43}$/);
    expect((await stat(stateFile)).mode & 0o777).toBe(0o600);
    expect((await first.call('GET', '/config')).text).not.toContain(secret);
    await chmod(stateFile, 0o644);
    await first.call('POST', '/backends', { url: B });
    expect((await stat(stateFile)).mode & 0o777).toBe(0o600);
    first.fairlead.kill();
    await first.fairlead.exited;
    await running(changes);
    expect(await secretIn(stateFile)).toBe(secret);
  });

  it('get one when a reload turns sessions on, and no file is written before', async () => {
    const stateFile = join(temporaryFolder(), 'state.json');
    const changes = { stateFile, backends: [backend(A)] };
    const the = await running(changes);
    await expect(readFile(stateFile)).rejects.toMatchObject({ code: 'ENOENT' });
    the.next = loaded(settings({ ...changes, sticky: sticky('cookie') }));
    expect((await the.call('POST', '/reload')).status).toBe(200);
    expect(await secretIn(stateFile)).toMatch(/^[\w-]{43}$/);
  });

  it('are good without one that can be written, and the log says so', async () => {
    const stateFile = join(temporaryFolder(), 'gone', 'state.json');
    const the = await running({ stateFile, backends: [backend(A)], sticky: sticky('cookie') });
    await waitFor(async () => (await the.log()).includes('state_file.not_saved'));
    expect((await the.call('GET', '/status')).status).toBe(200);
  });
});
