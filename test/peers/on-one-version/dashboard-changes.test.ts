/** What an operator changes in the dashboard, and takes back: each change is one of the proxy, not of the page. */
import type { Browser, Page } from 'playwright-core';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Fairlead, startFairlead } from '../../support/fairlead.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { hasTool } from '../../support/tools.ts';
import { waitFor } from '../../support/wait-for.ts';
import { launchBrowser, openDashboard, show } from './browser.ts';

let browser: Browser;
let fairlead: Fairlead;
let page: Page;
let urls: readonly string[];

interface Shown {
  readonly id: number;
  readonly url: string;
  readonly weight: number;
  readonly state: string;
  readonly backup: boolean;
}

async function asked<Body>(path: string): Promise<Body> {
  return (await (await fetch(fairlead.adminUrl + path)).json()) as Body;
}

function backends(pool = 'default'): Promise<readonly Shown[]> {
  return asked(`/pools/${pool}/backends`);
}

/** By somebody else. */
function strategyOf(strategy: string): Promise<Response> {
  const body = JSON.stringify({ strategy });
  return fetch(`${fairlead.adminUrl}/strategy`, { method: 'PUT', body });
}

/** Opens what is shown of the first backend, and presses this button there. */
async function press(button: string): Promise<void> {
  await show(page, 'backends');
  await page.getByRole('button', { name: urls[0] ?? '', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: button }).click();
}

/** The question is answered with yes. */
async function confirm(title: RegExp, button: string): Promise<void> {
  const question = page.getByRole('dialog', { name: title });
  await question.getByRole('button', { name: button, exact: true }).click();
  await page.getByRole('dialog').first().waitFor({ state: 'detached' });
}

async function undo(text: string): Promise<void> {
  const notice = page.locator('.notice', { hasText: text });
  await notice.getByRole('button', { name: 'Undo' }).click();
  await page.locator('.notice', { hasText: `Undone: ${text}` }).waitFor();
}

describe.runIf(hasTool('chromium'))('changes in the dashboard', { timeout: 180_000 }, () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });

  beforeEach(async () => {
    urls = await Promise.all([1, 2, 3].map(async () => (await httpBackend()).url));
    const [first = '', second = '', third = ''] = urls;
    fairlead = await startFairlead({
      config: {
        backends: [{ url: first, weight: 2 }, second],
        pools: { api: { backends: [third] } },
      },
    });
    ({ page } = await openDashboard(browser, `${fairlead.adminUrl}/#backends`));
    await page.getByRole('button', { name: first, exact: true }).waitFor();
  });

  test('drain, and back', async () => {
    await press('Drain…');
    await page.getByLabel('Deadline').fill('1h');
    await confirm(/^Drain/, 'Drain');
    const [drained] =
      await asked<readonly (Shown & { draining?: { deadline: string } })[]>('/backends');
    expect(drained?.state).toBe('draining');
    expect(Date.parse(drained?.draining?.deadline ?? '') - Date.now()).toBeGreaterThan(3_000_000);
    await page
      .getByRole('row', { name: urls[0] ?? '' })
      .getByText(/drain(ing|ed)/)
      .first()
      .waitFor();
    await undo(`Draining ${urls[0]}`);
    expect((await backends())[0]?.state).toBe('enabled');
  });

  test('disable, and back; enable, and back', async () => {
    await press('Disable…');
    await confirm(/^Disable/, 'Disable');
    expect((await backends())[0]?.state).toBe('disabled');
    await undo(`Disabled ${urls[0]}`);
    expect((await backends())[0]?.state).toBe('enabled');
    const { id } = (await backends())[0] as Shown;
    await fetch(`${fairlead.adminUrl}/backends/${id}`, {
      method: 'PATCH',
      body: '{"state":"disabled"}',
    });
    await page
      .getByRole('row', { name: urls[0] ?? '' })
      .getByText('disabled', { exact: true })
      .waitFor();
    await press('Enable');
    await confirm(/^Enable/, 'Enable');
    expect((await backends())[0]?.state).toBe('enabled');
    await undo(`Enabled ${urls[0]}`);
    expect((await backends())[0]?.state).toBe('disabled');
  });

  test('another weight, and back', async () => {
    await press('Weight…');
    await page.getByLabel('Weight', { exact: true }).fill('7');
    await confirm(/^Weight of/, 'Change weight');
    expect((await backends())[0]?.weight).toBe(7);
    await undo(`Weight of ${urls[0]} is 7, was 2`);
    expect((await backends())[0]?.weight).toBe(2);
  });

  test('remove, and back as it was', async () => {
    await press('Disable…');
    await confirm(/^Disable/, 'Disable');
    await press('Remove…');
    await page.getByText('The config lists it').waitFor();
    await confirm(/^Remove/, 'Remove');
    expect((await backends()).map(({ url }) => url)).toEqual([urls[1]]);
    await undo(`Removed ${urls[0]}`);
    expect((await backends())[0]).toMatchObject({
      id: 0,
      url: urls[0],
      source: 'config',
      weight: 2,
      state: 'disabled',
    });
  });

  test('add to a pool, and back; what is wrong is said, and nothing is lost', async () => {
    await page.getByRole('button', { name: 'Add a backend', exact: true }).click();
    const { url } = await httpBackend();
    const question = page.getByRole('dialog');
    await question.getByLabel('URL').fill('nonsense://x');
    await question.getByRole('button', { name: 'Add', exact: true }).click();
    await question.getByRole('alert').filter({ hasText: 'nonsense' }).waitFor();
    await question.getByLabel('Pool').selectOption('api');
    await question.getByLabel('URL').fill(url);
    await question.getByLabel('Weight').fill('4');
    await question.getByRole('checkbox').check();
    await confirm(/^Add/, 'Add');
    expect((await backends('api'))[1]).toMatchObject({ url, weight: 4, backup: true });
    await undo(`Added ${url} to api`);
    expect(await backends('api')).toHaveLength(1);
    expect(await backends()).toHaveLength(2);
  });

  test('another strategy, and back', async () => {
    await page.getByRole('button', { name: 'Change the strategy of api' }).click();
    await page.getByRole('dialog').getByRole('combobox').selectOption('random-two');
    await confirm(/^Strategy of/, 'Change strategy');
    expect(await asked('/pools/api/strategy')).toMatchObject({ strategy: 'random-two' });
    await undo('Strategy of api is random-two, was round-robin');
    expect(await asked('/pools/api/strategy')).toMatchObject({ strategy: 'round-robin' });
    expect(await asked('/strategy')).toMatchObject({ strategy: 'round-robin', source: 'config' });
  });

  test('a value that was set here is dropped, and the config is read again', async () => {
    await press('Weight…');
    await page.getByLabel('Weight', { exact: true }).fill('9');
    await confirm(/^Weight of/, 'Change weight');
    await show(page, 'config');
    await page.getByRole('listitem').filter({ hasText: 'the config says 2' }).waitFor();
    await page.getByRole('button', { name: 'Drop…' }).click();
    await confirm(/^Drop/, 'Drop');
    expect((await backends())[0]?.weight).toBe(2);
    await page.getByText('Nothing that the config says otherwise.').waitFor();
    await page.getByRole('button', { name: 'Reload…' }).click();
    await confirm(/^Reload/, 'Reload');
    await fairlead.waitForLog(({ event }) => event === 'config.reloaded');
  });

  test('nothing is done without a yes', async () => {
    await press('Remove…');
    await page.keyboard.press('Escape');
    await press('Remove…').catch(() => {});
    await page
      .getByRole('dialog', { name: /^Remove/ })
      .getByRole('button', { name: 'Cancel' })
      .click();
    expect(await backends()).toHaveLength(2);
  });

  test('what others have changed in between is not written over unasked', async () => {
    await press('Weight…');
    await page.getByLabel('Weight', { exact: true }).fill('5');
    await strategyOf('ip-hash');
    const question = page.getByRole('dialog', { name: /^Weight of/ });
    await question.getByRole('button', { name: 'Change weight' }).click();
    await question.getByText('Something was changed since you opened this.').waitFor();
    expect((await backends())[0]?.weight).toBe(2);
    await confirm(/^Weight of/, 'Change weight');
    expect((await backends())[0]?.weight).toBe(5);
    await strategyOf('random-two');
    const notice = page.locator('.notice', { hasText: 'is 5, was 2' });
    await notice.getByRole('button', { name: 'Undo' }).click();
    await notice.getByText('Undo all the same?').waitFor();
    expect((await backends())[0]?.weight).toBe(5);
    await notice.getByRole('button', { name: 'Undo' }).click();
    await waitFor(async () => (await backends())[0]?.weight === 2);
    await page.getByRole('button', { name: 'My changes (1)' }).click();
    await page.getByRole('dialog').getByText('Undone: Weight of').waitFor();
  });
});
