/** What a config with folders of certificates comes to where one of their files is broken: to look at, at a start, and at a reload. */
import { copyFileSync, mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Certificate } from '../../src/config/certificates/certificate-facts.ts';
import { type LoadResult, validateConfigText } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { Authority } from '../support/authority.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { hasTool } from '../support/tools.ts';

let folder: string;
let authority: Authority;

function put(base: string): void {
  const { cert, key } = authority.sign(`${base.split('/').at(-1) ?? ''}.test`);
  writeFileSync(join(folder, `${base}.crt`), cert);
  writeFileSync(join(folder, `${base}.key`), key);
}

beforeEach(() => {
  if (!hasTool('openssl')) return;
  folder = temporaryFolder('kept');
  authority = new Authority();
  mkdirSync(join(folder, 'certs'));
  put('certs/a');
  put('certs/b');
});

/** @param certificatesInUse undefined: it is only looked at. */
function load(
  certificatesInUse: readonly Certificate[] | undefined,
  certificates: readonly object[] = [{ folder: 'certs' }],
): LoadResult {
  const text = JSON.stringify({ listeners: [{ port: 1, tls: { certificates } }] });
  return validateConfigText(text, 'c.json', {
    flags: { values: [] },
    env: {},
    cwd: '/nowhere',
    configFile: join(folder, 'c.json'),
    ...(certificatesInUse && { certificatesInUse }),
  });
}

function served(result: LoadResult): readonly Certificate[] {
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  return result.settings.listeners[0].tls?.certificates ?? [];
}

const namesOf = (all: readonly Certificate[]) => all.flatMap(({ facts }) => facts.names);
const faultsOf = (result: LoadResult) => (result.ok ? (result.faults ?? []) : null);

test.runIf(hasTool('openssl'))('to look at, it is a problem', () => {
  writeFileSync(join(folder, 'certs/b.key'), 'half of it');
  const result = load(undefined);
  const told = result.ok ? [] : result.problems.map(formatProblem);
  expect(told).toEqual([
    expect.stringContaining('b.key holds no private key'),
    expect.stringContaining('b.crt: the key of this certificate is not in'),
  ]);
});

test.runIf(hasTool('openssl'))(
  'at a start, all others are served; at a reload, the one before as well',
  () => {
    const before = served(load([]));
    writeFileSync(join(folder, 'certs/b.key'), authority.sign('other.test').key);
    put('certs/c');
    const start = load([]);
    expect(namesOf(served(start))).toEqual(['a.test', 'c.test']);
    expect(faultsOf(start)?.map(({ file }) => file.slice(folder.length + 7))).toEqual([
      'b.crt',
      'b.key',
    ]);
    const reload = load(before);
    expect(
      served(reload)
        .map(({ facts }) => facts.fingerprint)
        .slice(0, 2),
    ).toEqual(before.map(({ facts }) => facts.fingerprint));
    expect(namesOf(served(reload))).toEqual(['a', 'b', 'c'].map((name) => `${name}.test`));
    expect(faultsOf(reload)).toEqual(faultsOf(start));
  },
);

test.runIf(hasTool('openssl'))(
  'of two listeners with the same folder, each has it once, and it is told once',
  () => {
    const tls = { certificates: [{ folder: 'certs' }] };
    const listeners = [
      { port: 1, tls },
      { port: 2, tls },
    ];
    const input = {
      flags: { values: [] },
      env: {},
      cwd: '/nowhere',
      configFile: join(folder, 'c.json'),
    };
    let certificatesInUse: readonly Certificate[] = [];
    for (let round = 0; round < 3; round++) {
      const text = JSON.stringify({ listeners });
      const result = validateConfigText(text, 'c.json', { ...input, certificatesInUse });
      if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
      const all = result.settings.listeners.map((one) => one.tls?.certificates ?? []);
      expect(all.map(namesOf)).toEqual(Array.from(listeners, () => ['a.test', 'b.test']));
      expect(faultsOf(result)).toHaveLength(round === 0 ? 0 : 1);
      certificatesInUse = all.flat();
      writeFileSync(join(folder, 'certs/b.crt'), 'x');
      rmSync(join(folder, 'certs/b.key'), { force: true });
    }
  },
);

describe('it is a problem as well', () => {
  test.runIf(hasTool('openssl'))('where nothing is left to serve, unless it is in use', () => {
    const before = served(load([]));
    for (const base of ['a', 'b']) writeFileSync(join(folder, `certs/${base}.crt`), 'x');
    expect(load([])).toMatchObject({ ok: false });
    expect(served(load(before))).toEqual(before);
    rmSync(join(folder, 'certs'), { recursive: true });
    expect(load([])).toMatchObject({ ok: false });
    expect(served(load(before))).toEqual(before);
    expect(faultsOf(load(before))).toMatchObject([{ file: join(folder, 'certs') }]);
  });

  test.runIf(hasTool('openssl'))('where the config names the folder or the pair itself', () => {
    put('p');
    const pair = { cert_file: 'p.crt', key_file: 'p.key' };
    const before = served(load([], [pair, { folder: 'certs' }]));
    writeFileSync(join(folder, 'p.key'), 'x');
    expect(load(before, [pair, { folder: 'certs' }])).toMatchObject({
      ok: false,
      problems: [{ path: 'listeners.0.tls.certificates.0.key_file' }],
    });
    expect(load(before, [{ folder: 'certs' }, { folder: 'none' }])).toMatchObject({
      ok: false,
      problems: [{ path: 'listeners.0.tls.certificates.1.folder' }],
    });
  });
});

test.runIf(hasTool('openssl'))(
  'what was taken out with its key is gone, and a broken one does not change which is the first',
  () => {
    for (const name of ['shop', 'shop-2', 'zoo']) {
      mkdirSync(join(folder, 'certs', name));
      put(`certs/${name}/x`);
    }
    for (const base of ['a', 'b']) {
      unlinkSync(join(folder, `certs/${base}.crt`));
      unlinkSync(join(folder, `certs/${base}.key`));
    }
    const before = served(load([]));
    writeFileSync(join(folder, 'certs/zoo/x.key'), 'x');
    expect(served(load(before)).map(({ certFile }) => certFile.slice(folder.length))).toEqual(
      ['shop', 'shop-2', 'zoo'].map((name) => `/certs/${name}/x.crt`),
    );
  },
);

test.runIf(hasTool('openssl'))('a copy of a key beside it is no mistake', () => {
  copyFileSync(join(folder, 'certs/a.key'), join(folder, 'certs/a-copy.key'));
  copyFileSync(join(folder, 'certs/a.key'), join(folder, 'certs/z.key'));
  expect(namesOf(served(load(undefined)))).toHaveLength(2);
});
