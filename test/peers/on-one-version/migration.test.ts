/** docs/migration: what stands there of other programs is good for them, and Fairlead does the same by what stands beside it. */
import { spawnSync } from 'node:child_process';
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { codeBlocks, readPage } from '../../docs/markdown.ts';
import { runFairlead, startFairlead } from '../../support/fairlead.ts';
import { freePort } from '../../support/free-port.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { hasTool, pathOf } from '../../support/tools.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startProgram } from './program.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

interface Command {
  readonly path: string;
  readonly args: readonly string[];
}

interface Other {
  /** In the name of its block. */
  readonly language: string;
  readonly file: string;
  readonly isHere: boolean;
  /** What it needs of a test, put into its config. */
  adapt?(text: string, folder: string): string;
  check(file: string, folder: string): Command;
  run(file: string, folder: string): Command;
  /** What it does otherwise, as the page says. */
  readonly takesLargeBodies: boolean;
}

function nginx(file: string, folder: string): Command {
  const own = `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;`;
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return { path: pathOf('nginx') ?? '', args: ['-p', folder, '-c', file, '-g', `${own}${user}`] };
}

const OTHERS: Readonly<Record<string, Other>> = {
  nginx: {
    language: 'nginx',
    file: 'nginx.conf',
    isHere: hasTool('nginx'),
    adapt: (text, folder) =>
      text.replace(
        'http {',
        `http { access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}`,
      ),
    check: (file, folder) => {
      const { path, args } = nginx(file, folder);
      return { path, args: ['-t', ...args] };
    },
    run: nginx,
    takesLargeBodies: false,
  },
  haproxy: {
    language: 'haproxy',
    file: 'haproxy.cfg',
    isHere: hasTool('haproxy'),
    check: (file) => ({ path: pathOf('haproxy') ?? '', args: ['-c', '-f', file] }),
    run: (file) => ({ path: pathOf('haproxy') ?? '', args: ['-db', '-f', file] }),
    takesLargeBodies: true,
  },
  caddy: {
    language: 'caddyfile',
    file: 'Caddyfile',
    isHere: hasTool('caddy'),
    check: (file) => ({
      path: pathOf('caddy') ?? '',
      args: ['validate', '--adapter', 'caddyfile', '--config', file],
    }),
    run: (file) => ({
      path: pathOf('caddy') ?? '',
      args: ['run', '--adapter', 'caddyfile', '--config', file],
    }),
    takesLargeBodies: true,
  },
  'http-proxy-middleware': {
    language: 'js',
    file: 'front.mjs',
    isHere: true,
    adapt: (text, folder) => {
      symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
      return text;
    },
    check: (file) => ({ path: process.execPath, args: ['--check', file] }),
    run: (file) => ({ path: process.execPath, args: [file] }),
    takesLargeBodies: true,
  },
};

interface Echo {
  readonly group: string;
  readonly asked: string;
  readonly headers: IncomingHttpHeaders;
  readonly length: number;
}

/** Says what it was asked. */
async function echo(group: string): Promise<number> {
  const { port } = await httpBackend((request, response) => {
    let length = 0;
    request.on('data', (part: Buffer) => (length += part.length));
    request.on('end', () => {
      const { headers, method, url } = request;
      response.end(
        JSON.stringify({ group, asked: `${method} ${url}`, headers, length } satisfies Echo),
      );
    });
  });
  return port;
}

/** What counts of an answer: for the client, and of what the backend got. */
async function answerOf(base: string, path: string, body?: Buffer): Promise<object> {
  const init = { redirect: 'manual', ...(body && { method: 'POST', body }) } as const;
  const response = await fetch(base + path, init);
  const text = await response.text();
  const location = response.headers.get('location');
  const frame = response.headers.get('x-frame-options');
  const seen = { status: response.status, location, frame };
  if (response.status !== 200 || !text.startsWith('{'))
    return seen.status === 200 ? { ...seen, text } : seen;
  const { group, asked, headers, length } = JSON.parse(text) as Echo;
  return {
    ...seen,
    group,
    asked,
    length,
    host: headers.host === new URL(base).host,
    site: headers['x-site'],
    for: String(headers['x-forwarded-for']).replace('::ffff:', ''),
    proto: headers['x-forwarded-proto'],
  };
}

const PATHS = [
  '/',
  '/a/b?c=1&d',
  '/api/users?page=2',
  '/api/',
  '/apix',
  '/old',
  '/healthz',
  '/%C3%A9',
];

test('each page has a test', () => {
  const pages = readdirSync(join(ROOT, 'docs/migration')).map((name) => name.replace(/\.md$/, ''));
  expect(pages.toSorted()).toEqual(Object.keys(OTHERS).toSorted());
});

describe.each(Object.entries(OTHERS))('from %s', (name, other) => {
  const blocks = codeBlocks(readPage(`docs/migration/${name}.md`));
  const theirs = blocks.find(({ language }) => language === other.language)?.code ?? '';
  const ours = blocks.find(({ language }) => language === 'yaml')?.code ?? '';
  let ports: Readonly<Record<string, number>> = {};

  beforeAll(async () => {
    const app = await Promise.all([echo('app'), echo('app'), echo('api')]);
    ports = { 3001: app[0], 3002: app[1], 4001: app[2] };
  });

  function withPorts(text: string, own: number): string {
    return text
      .replaceAll(/localhost:(\d+)/g, (_whole, port: string) => `127.0.0.1:${ports[port]}`)
      .replaceAll('8080', String(own));
  }

  test('the page has one config of each', () => {
    const languages = blocks.map(({ language }) => language);
    expect(languages).toEqual([other.language, 'yaml']);
  });

  test('fairlead check accepts ours', async () => {
    const folder = temporaryFolder('migration');
    writeFileSync(join(folder, 'fairlead.yaml'), ours);
    const run = await runFairlead(['check', '--config', 'fairlead.yaml'], { cwd: folder });
    expect(run).toMatchObject({ code: 0, stderr: '' });
  });

  test.skipIf(!other.isHere)('theirs is good for it, and both do the same', async () => {
    const folder = temporaryFolder('migration');
    const file = join(folder, other.file);
    const own = await freePort();
    const text = withPorts(theirs, own);
    writeFileSync(file, other.adapt?.(text, folder) ?? text);
    const check = other.check(file, folder);
    const { status, stderr } = spawnSync(check.path, check.args, { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, expect.anything()]);
    const { path, args } = other.run(file, folder);
    const program = startProgram(path, args);
    const base = `http://127.0.0.1:${own}`;
    await waitFor(async () => {
      if (!program.isRunning()) throw new Error(program.output());
      return (await fetch(base)).status === 200;
    });

    const [port, adminPort] = [await freePort(), await freePort()];
    const config = join(folder, 'fairlead.yaml');
    writeFileSync(config, withPorts(ours, port));
    const flags = ['--config', config, '--admin-port', String(adminPort)];
    const fairlead = await startFairlead({ args: flags, ports: { port, adminPort } });
    for (const place of ['/', '/api/']) {
      await waitFor(async () => (await fetch(fairlead.url + place)).status === 200);
    }

    for (const asked of PATHS) {
      const [one, two] = [await answerOf(base, asked), await answerOf(fairlead.url, asked)];
      expect({ asked, ...two }).toEqual({ asked, ...one });
    }
    for (const length of [0, 100_000, ...(other.takesLargeBodies ? [] : [3_000_000])]) {
      const body = Buffer.alloc(length, 'x');
      const answer = await answerOf(fairlead.url, '/upload', body);
      expect({ length, answer }).toEqual({ length, answer: await answerOf(base, '/upload', body) });
    }
  });
});
