/** The dashboard in Chromium, in front of a proxy with traffic: every view, in light, dark and on a phone. */
import axe from 'axe-core';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { afterTest } from '../../support/after-test.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { type Fairlead, startFairlead } from '../../support/fairlead.ts';
import { onFreePorts } from '../../support/free-ports.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { slowness } from '../../support/machine-speed.ts';
import { hasTool } from '../../support/tools.ts';
import { leastOf, waitFor } from '../../support/wait-for.ts';
import { launchBrowser, openDashboard, show } from './browser.ts';

const HOSTILE = '/<img src=x onerror="window.hacked=1">/<script>window.hacked=1</script>';
const VIEWS = ['overview', 'backends', 'routes', 'requests', 'events', 'config', 'certificates'];

let fairlead: Fairlead;
let browser: Browser;
let backends: readonly string[];

async function startWithTraffic(): Promise<void> {
  const started = await Promise.all(
    [1, 2, 3].map((which) =>
      httpBackend(({ url = '', socket }, response) => {
        if (url === '/closes') socket.destroy();
        else {
          response.statusCode = url === '/health' && which === 3 ? 500 : 200;
          response.end('ok');
        }
      }),
    ),
  );
  backends = started.map(({ url }) => url);
  const [first = '', second = '', third = ''] = backends;
  fairlead = await onFreePorts(1, ([port = 0]) =>
    startFairlead({
      config: {
        backends: [first, { url: second, weight: 3 }],
        listeners: [{ port, tls: { certificates: [makeCertificate()] } }],
        pools: { api: { strategy: 'least-connections', backends: [third] } },
        routes: [{ path: '/api/', pool: 'api', strip_prefix: '/api' }],
      },
    }),
  );
  const paths = ['/', '/a?b=1', '/closes', '/api/down', encodeURI(HOSTILE)];
  let turn = 0;
  const timer = setInterval(() => {
    const path = paths[turn++ % paths.length];
    fetch(`${fairlead.url}${path}`).then(
      (answer) => answer.text(),
      () => {},
    );
  }, 20);
  afterTest(() => clearInterval(timer));
}

/** CPU time of the page, in seconds, until it shows something: a clock would measure what else the machine does. */
async function paintedAfter(): Promise<number> {
  const { page, asked, complaints } = await openDashboard(browser, 'about:blank');
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  await page.goto(fairlead.adminUrl);
  await page.getByText('Requests per second').waitFor();
  const { metrics } = await session.send('Performance.getMetrics');
  expect(asked.filter((url) => !url.startsWith(`${fairlead.adminUrl}/`))).toEqual([]);
  expect(asked.filter((url) => /\.(js|css|png|svg|woff2?)$/.test(url))).toEqual([]);
  expect(complaints).toEqual([]);
  return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
}

describe.runIf(hasTool('chromium') && hasTool('openssl'))(
  'the dashboard',
  { timeout: 180_000 },
  () => {
    beforeAll(async () => {
      [browser] = await Promise.all([launchBrowser(), startWithTraffic()]);
    });

    test('is there within a second, and asks for nothing but its own page and the admin API', async () => {
      const most = slowness();
      const least = await leastOf(paintedAfter, most);
      expect(least).toBeGreaterThan(0);
      expect(least).toBeLessThan(most);
    });

    test('shows what happens, live', async () => {
      const { page, complaints } = await openDashboard(browser, fairlead.adminUrl);
      const tile = (name: string) =>
        page.locator('.tile', { hasText: name }).locator('strong').first();
      await waitFor(async () => Number(await tile('requests/s').textContent()) > 5);
      await expect.poll(() => page.locator('.mark').textContent()).toBe('live');
      await page.getByText('ERR_BACKEND_CLOSED', { exact: true }).first().waitFor();
      const pools = page.getByRole('table').first();
      await waitFor(async () => /api.*0 of 1 up/.test((await pools.textContent()) ?? ''));

      await show(page, 'backends');
      const row = page.getByRole('row', { name: backends[2] ?? '' });
      await waitFor(async () => /down.*unhealthy: GET .*500/.test((await row.textContent()) ?? ''));
      expect(await page.getByRole('row', { name: backends[1] ?? '' }).textContent()).toMatch(
        /up.*3/,
      );

      await show(page, 'routes');
      await page.getByText('path /api → api').waitFor();

      await show(page, 'events');
      await page.getByText('is DOWN: GET').first().waitFor();

      await show(page, 'certificates');
      await page.getByText(/days left/).waitFor();

      await show(page, 'config');
      await page.getByText('A reload would change nothing.').waitFor();
      const key = page.getByRole('row', { name: 'pools.api.strategy' });
      expect(await key.textContent()).toMatch(/least-connections.*fairlead\.config\.json:\d+/);
      expect(complaints).toEqual([]);
    });

    test('says why a request has failed, and where one would go', async () => {
      const { page, complaints } = await openDashboard(browser, fairlead.adminUrl);
      await show(page, 'requests');
      await page.getByLabel('Filter by status').selectOption('failed');
      await page.getByRole('searchbox').fill('/closes');
      await page.getByRole('button', { name: '/closes' }).first().click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('ERR_BACKEND_CLOSED: the backend closed the connection').waitFor();
      await dialog.getByText('did it crash or restart?').waitFor();
      expect(await dialog.getByRole('listitem').count()).toBeGreaterThan(0);
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });

      await page.getByText('Explain: where would a request go?').click();
      await page.getByLabel('Path', { exact: true }).fill('/api/x');
      await page.getByRole('button', { name: 'Explain' }).click();
      const candidates = page.getByRole('table', { name: 'Candidates' });
      await candidates.getByRole('row', { name: backends[2] ?? '' }).waitFor();
      await page.getByLabel('Host', { exact: true }).fill('a b');
      await page.getByRole('button', { name: 'Explain' }).click();
      await page.getByText('refused before any route: 400 ERR_BAD_HOST').waitFor();
      expect(complaints).toEqual([]);
    });

    test('what clients send is text, whatever it says', async () => {
      const { page, complaints } = await openDashboard(browser, fairlead.adminUrl);
      await show(page, 'requests');
      await page.getByRole('searchbox').fill('onerror');
      const link = page.locator('tbody .link').first();
      await link.waitFor();
      expect(decodeURI((await link.textContent()) ?? '')).toContain(HOSTILE);
      await link.click();
      await page.getByRole('dialog').getByText('onerror').waitFor();
      // Also where nothing is encoded: in the address of the page itself.
      await show(page, `requests/${HOSTILE}`);
      await page.getByRole('heading', { name: 'onerror' }).waitFor();
      const harm = "[Object.hasOwn(window, 'hacked'), document.images.length]";
      expect(await page.evaluate(harm)).toEqual([false, 0]);
      // Nor can anything that would run be put in: the policy of the page forbids it.
      await expect(page.evaluate("document.body.innerHTML = '<b>x</b>'")).rejects.toThrow(
        'TrustedHTML',
      );
      expect(complaints.filter((one) => !one.includes('TrustedHTML'))).toEqual([]);
    });

    test('keys lead everywhere', async () => {
      const { page } = await openDashboard(browser, fairlead.adminUrl);
      await page.locator('.tile').first().waitFor();
      for (const [index, view] of VIEWS.entries()) {
        await page.keyboard.press(String(index + 1));
        await page.locator(`nav a[href$="#${view}"][aria-current=page]`).waitFor();
      }
      await page.keyboard.press('2');
      await page.locator('tbody .link').first().waitFor();
      await page.keyboard.press('j');
      await page.keyboard.press('j');
      await page.keyboard.press('k');
      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog', { name: backends[1] ?? '' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      const focused = () => page.evaluate('document.activeElement.textContent');
      expect(await focused()).toBe(backends[1]);
      await page.keyboard.press('/');
      await page.keyboard.type('2?');
      expect(await page.getByRole('searchbox').inputValue()).toBe('2?');
      await page.getByRole('searchbox').blur();
      await page.keyboard.press('?');
      await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    });

    const LOOKS: readonly [string, BrowserContextOptions][] = [
      ['light', { colorScheme: 'light' }],
      ['dark', { colorScheme: 'dark' }],
      [
        'on a phone',
        { colorScheme: 'light', viewport: { width: 390, height: 800 }, hasTouch: true },
      ],
    ];

    test.each(LOOKS)(
      'axe finds nothing to complain of, and nothing is wider than the page: %s',
      async (_look, options) => {
        const { page } = await openDashboard(browser, fairlead.adminUrl, options);
        await page.locator('.tile').first().waitFor();
        await page.evaluate(axe.source);
        const violations = async (where: string): Promise<string[]> => {
          const found = (await page.evaluate('axe.run()')) as {
            violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
          };
          const width = Number(
            await page.evaluate(
              'document.documentElement.scrollWidth - document.documentElement.clientWidth',
            ),
          );
          return [
            ...found.violations.map(({ id, nodes }) => `${where}: ${id} ${JSON.stringify(nodes)}`),
            ...(width > 0 ? [`${where}: ${width} px too wide`] : []),
          ];
        };
        for (const view of VIEWS) {
          await show(page, view);
          await page.locator('#view section').first().waitFor();
          if (view === 'requests') await page.getByText('Explain: where').click();
          expect(await violations(view)).toEqual([]);
        }
        await show(page, 'backends');
        await page.locator('tbody .link').first().click();
        await page.getByRole('button', { name: 'Weight…' }).click();
        await page.getByLabel('Weight', { exact: true }).waitFor();
        expect(await violations('a question')).toEqual([]);
        await page.keyboard.press('Escape');
        await page.getByRole('dialog', { name: 'Weight' }).waitFor({ state: 'detached' });
        expect(await violations('a backend')).toEqual([]);
      },
    );
  },
);
