/** `include /dev/zero;` was read for ever, and `include [z-a];` ended the command with a stack. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readNginx } from '../../src/cli/nginx/nginx-files.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('only files are included, and a pattern that is none finds nothing', () => {
  const folder = temporaryFolder();
  const read = (text: string) => {
    writeFileSync(join(folder, 'nginx.conf'), text);
    return readNginx('nginx.conf', folder).directives;
  };
  expect(() => read('include /dev/zero;')).toThrow('/dev/zero is no file');
  expect(read('include [z-a].conf; user www;')).toEqual([
    expect.objectContaining({ name: 'user' }),
  ]);
});
