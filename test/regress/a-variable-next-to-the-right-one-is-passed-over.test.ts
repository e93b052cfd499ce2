/**
 * `TARGET_BACKEND_URL=… fairlead` (singular) started a proxy without backends, and said so at level info only.
 */
import { expect, test } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import { runFairlead, startFairlead } from '../support/fairlead.ts';

function notesOf(env: Readonly<Record<string, string>>): readonly string[] {
  const result = loadSettings({ flags: { values: [] }, env, cwd: '/nowhere' });
  return result.ok ? result.notes : ['refused'];
}

test.each([
  ['TARGET_BACKEND_URL', 'TARGET_BACKEND_URLS'],
  ['TARGET_BACKENDS', 'TARGET_BACKEND_URLS'],
  ['TARGET_BAKCEND_URLS', 'TARGET_BACKEND_URLS'],
  ['target_backend_urls', 'TARGET_BACKEND_URLS'],
  ['BACKEND_URLS', 'TARGET_BACKEND_URLS'],
  ['HEALTH_CHECK_INTERVALS', 'HEALTH_CHECK_INTERVAL'],
  ['PROXY_LISTEN_ADDRESS', 'PROXY_LISTEN_ADDR'],
])('%s is told of', (name, meant) => {
  expect(notesOf({ [name]: 'http://a' })).toEqual([`${name} is not read (did you mean ${meant}?)`]);
});

test.each(['PATH', 'HEALTH_CHECK_URL', 'HTTP_PROXY', 'TARGET', 'A'.repeat(1000)])(
  "%s is anyone's",
  (name) => {
    expect(notesOf({ [name]: 'x' })).toEqual([]);
  },
);

test('the log warns of it, and of having no backends', async () => {
  const fairlead = await startFairlead({ env: { TARGET_BACKEND_URL: 'http://:3001' } });
  const warning = await fairlead.waitForLog(({ event }) => event === 'backends.none');
  expect(warning.level).toBe('warn');
  expect(fairlead.logs()).toContainEqual(
    expect.objectContaining({
      event: 'config.note',
      level: 'warn',
      msg: 'TARGET_BACKEND_URL is not read (did you mean TARGET_BACKEND_URLS?)',
    }),
  );
});

test('with a backend there is no such warning', async () => {
  const fairlead = await startFairlead({ args: [':1'] });
  await fairlead.stop();
  expect(fairlead.logs().some(({ event }) => event === 'backends.none')).toBe(false);
});

test('check says so, too', async () => {
  const { code, stderr } = await runFairlead(['check']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: 'note: there are no backends\n' });
});
