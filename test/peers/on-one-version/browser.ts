/** Chromium, which asks nobody but us for anything. */
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Page,
  type Request,
} from 'playwright-core';
import { afterTest } from '../../support/after-test.ts';
import { pathOf } from '../../support/tools.ts';
import { LONG_MS } from '../../support/wait-for.ts';

const QUIET = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const NETWORK_CHANGED = 'net::ERR_NETWORK_CHANGED';

export async function launchBrowser(...more: readonly string[]): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: pathOf('chromium') ?? '',
    chromiumSandbox: false,
    args: [...QUIET, ...more],
    timeout: 50_000,
  });
  afterTest(() => browser.close());
  return browser;
}

export interface Opened {
  readonly page: Page;
  /** What the page complained of: errors that nobody caught, and what its policy has kept from it. */
  readonly complaints: readonly string[];
  /** Every address that it has asked for. */
  readonly asked: readonly string[];
}

/** The dashboard of the instance at this address, in a window of its own. */
export async function openDashboard(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  afterTest(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(LONG_MS);
  const complaints: string[] = [];
  const asked: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)));
  page.on('console', (message) => {
    // That an answer was no good one is told there, too, whatever the page makes of it.
    const isAnswer = message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !isAnswer) complaints.push(message.text());
  });
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(url);
  return { page, complaints, asked };
}

/** To another view, as a link would. */
export async function show(page: Page, view: string): Promise<void> {
  await page.evaluate(`void (location.hash = ${JSON.stringify(view)})`);
  await page.locator(`nav a[href$="#${view.split('/')[0]}"][aria-current=page]`).waitFor();
}

/**
 * What a page asks for by itself. Chromium drops all that is under way, on loopback as well, when an interface of the machine comes or goes:
 * the tests of partitions make some meanwhile. Then it is asked for once more.
 */
export async function evaluateOnSteadyNetwork(page: Page, script: string): Promise<unknown> {
  const failures: (string | undefined)[] = [];
  const note = (request: Request): void => void failures.push(request.failure()?.errorText);
  page.on('requestfailed', note);
  try {
    for (;;) {
      try {
        return await page.evaluate(script);
      } catch (error) {
        const isElsewhere = failures.length > 0 && failures.every((one) => one === NETWORK_CHANGED);
        if (!isElsewhere) throw new Error(`failed: ${failures.join(', ')}`, { cause: error });
        failures.length = 0;
      }
    }
  } finally {
    page.off('requestfailed', note);
  }
}
