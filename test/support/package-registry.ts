/**
 * A registry of npm packages on loopback that has what this clone has installed: what a user's `npm install` needs, without a network
 * and without waiting for one.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { httpBackend } from './http-backend.ts';

const run = promisify(execFile);
const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

/** @returns its address. It ends with the test. */
export async function packageRegistry(): Promise<string> {
  const { url } = await httpBackend(async (request, response) => {
    const path = decodeURIComponent(request.url ?? '').slice(1);
    const name = path.replace(/\.tgz$/, '');
    const manifest = join(MODULES, name, 'package.json');
    if (!/^(@[\w.-]+\/)?[\w-][\w.-]*$/.test(name) || !existsSync(manifest)) {
      response.writeHead(404).end('{}');
    } else if (path === name) {
      response.end(JSON.stringify(await descriptionOf(url, name, manifest)));
    } else {
      response.end(await archiveOf(name));
    }
  });
  return url;
}

/** What npm asks for first: the versions that there are, which is the one that is installed. */
async function descriptionOf(url: string, name: string, file: string): Promise<object> {
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string };
  const shasum = createHash('sha1')
    .update(await archiveOf(name))
    .digest('hex');
  const { version } = manifest;
  const dist = { tarball: `${url}/${name}.tgz`, shasum };
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
}

const archives = new Map<string, Promise<Buffer>>();

function archiveOf(name: string): Promise<Buffer> {
  const made = archives.get(name) ?? pack(join(MODULES, name));
  archives.set(name, made);
  return made;
}

/** As npm has them: all below a folder `package`. */
async function pack(folder: string): Promise<Buffer> {
  const args = ['-czf', '-', '--transform', 's,^\\.,package,', '-C', folder, '.'];
  const { stdout } = await run('tar', args, { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}
