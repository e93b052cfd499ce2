/** Who may open the dashboard, from where, and what it says when nobody answers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/config/read/admin-token.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { startFairlead } from '../../support/fairlead.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { hasTool } from '../../support/tools.ts';
import { waitFor } from '../../support/wait-for.ts';
import { launchBrowser, openDashboard, show } from './browser.ts';

let browser: Browser;

/** The token is its name. */
function tokenLine(name: string, role: string): string {
  return `${name} ${role} sha256:${digestOf(name).toString('hex')}\n`;
}

describe.runIf(hasTool('chromium') && hasTool('openssl'))(
  'the way to the dashboard',
  { timeout: 180_000 },
  () => {
    beforeAll(async () => {
      browser = await launchBrowser();
    });

    test('asks for a token, over TLS; a viewer looks, an operator acts, and who is taken out is out', async () => {
      const cwd = temporaryFolder('dashboard');
      const tokens = join(cwd, 'tokens');
      writeFileSync(tokens, tokenLine('watcher-1', 'viewer') + tokenLine('keeper-1', 'operator'));
      const backend = await httpBackend();
      const fairlead = await startFairlead({
        config: {
          admin: { tokens_file: 'tokens', tls: makeCertificate() },
          backends: [backend.url],
        },
        cwd,
        isWatched: true,
      });
      const url = fairlead.adminUrl.replace('http:', 'https:');
      const { page, asked, complaints } = await openDashboard(browser, `${url}/#backends`, {
        ignoreHTTPSErrors: true,
      });
      const enter = async (token: string): Promise<void> => {
        await page.getByLabel('Token').fill(token);
        await page.getByRole('button', { name: 'Open' }).click();
      };
      await enter('nobody');
      await page.getByText('This is no token of this instance.').waitFor();
      await enter('watcher-1');
      await page.getByText('read only: viewer').waitFor();
      await page.getByRole('button', { name: backend.url, exact: true }).click();
      await page.getByText('You read only').waitFor();
      await page.keyboard.press('Escape');
      const deeds = /^(Add|Drain|Disable|Enable|Weight|Remove|Strategy|Reload|Drop)/;
      for (const view of ['backends', 'config']) {
        await show(page, view);
        await page.locator('#view section').first().waitFor();
        expect([view, await page.getByRole('button', { name: deeds }).count()]).toEqual([view, 0]);
      }
      await page.reload();
      await page.getByText('read only: viewer').waitFor();
      const kept = '[JSON.stringify({ ...sessionStorage }), localStorage.length, document.cookie]';
      expect(await page.evaluate(kept)).toEqual(['{"fairlead.token":"watcher-1"}', 0, '']);

      await page.getByRole('button', { name: 'Leave' }).click();
      await enter('keeper-1');
      await show(page, 'backends');
      await page.getByRole('button', { name: 'Add a backend', exact: true }).waitFor();
      writeFileSync(tokens, tokenLine('watcher-1', 'viewer'));
      await page.getByLabel('Token').waitFor();
      await page.getByText('This is no token of this instance.').waitFor();
      expect(await page.evaluate('sessionStorage.length')).toBe(0);
      expect(asked.filter((one) => /watcher|keeper|nobody/.test(one))).toEqual([]);
      expect(complaints).toEqual([]);
    });

    test('a path before it, from a proxy in front, changes nothing', async () => {
      const backend = await httpBackend();
      const inner = await startFairlead({ args: [backend.url] });
      const outer = await startFairlead({
        config: {
          pools: { admin: { backends: [inner.adminUrl], health_check: { path: '/livez' } } },
          routes: [{ path: '/ops/lb/', pool: 'admin', strip_prefix: '/ops/lb' }],
        },
      });
      await waitFor(async () => (await fetch(`${outer.url}/ops/lb/livez`)).ok);
      for (const path of ['/ops/lb/', '/ops/lb']) {
        const { page, asked, complaints } = await openDashboard(browser, outer.url + path);
        await page.getByText('Requests per second').waitFor();
        await show(page, 'events');
        await page.getByText('is UP: GET').first().waitFor();
        await show(page, 'backends');
        await page.getByRole('button', { name: 'Change the strategy of default' }).click();
        await page.getByRole('dialog').getByRole('combobox').selectOption('ip-hash');
        await page.getByRole('button', { name: 'Change strategy' }).click();
        await page.locator('.notice').getByRole('button', { name: 'Undo' }).click();
        await page.getByText('Undone: Strategy of default').waitFor();
        expect(asked.filter((url) => !url.startsWith(`${outer.url}/ops/lb`))).toEqual([]);
        expect(complaints).toEqual([]);
      }
    });

    test('says since when nothing is live, and is live again by itself', async () => {
      const backend = await httpBackend();
      const first = await startFairlead({ args: [backend.url] });
      const { page } = await openDashboard(browser, first.adminUrl);
      const banner = page.getByRole('alert').filter({ hasText: 'Not live.' });
      const isStale = (): Promise<unknown> =>
        page.evaluate("document.documentElement.classList.contains('stale')");
      await page.locator('.mark.live').waitFor();
      expect([await banner.count(), await isStale()]).toEqual([0, false]);

      // Nothing is closed, and nothing answers.
      process.kill(first.pid, 'SIGSTOP');
      await banner.waitFor();
      expect(await banner.textContent()).toMatch(/What is shown is of .*, \d+ s ago: no answer/);
      expect([await page.locator('.mark').textContent(), await isStale()]).toEqual([
        'not live',
        true,
      ]);
      process.kill(first.pid, 'SIGCONT');
      await banner.waitFor({ state: 'detached' });
      expect(await isStale()).toBe(false);

      await first.kill();
      await banner.filter({ hasText: 'no connection' }).waitFor();
      await show(page, 'events');
      await page.getByText('Events do not come at the moment').waitFor();
      const { port, adminPort } = first;
      const again = [`--port=${port}`, `--admin-port=${adminPort}`, backend.url];
      await startFairlead({ args: again, ports: { port, adminPort } });
      await banner.waitFor({ state: 'detached' });
      await page.getByText('Events do not come at the moment').waitFor({ state: 'detached' });
      await show(page, 'overview');
      // What the other process had counted is no burst of negative or of new requests.
      const rate = page.locator('.tile', { hasText: 'requests/s' }).locator('strong');
      expect(Number(await rate.textContent())).toBe(0);
    });
  },
);
