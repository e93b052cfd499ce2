/** The dashboard of a large site, and one that has been open for long. */
import type { Browser, CDPSession, Page } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { afterTest } from '../../support/after-test.ts';
import { startFairlead } from '../../support/fairlead.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { slowness } from '../../support/machine-speed.ts';
import { hasTool } from '../../support/tools.ts';
import { LONG_MS, leastOf, waitFor } from '../../support/wait-for.ts';
import { launchBrowser, openDashboard, show } from './browser.ts';

const POOLS = 10;
const BACKENDS_EACH = 20;
/** Four times what it takes on a quiet machine: less could not be told from a busy one. */
const MOST_SECONDS = 0.1;
const LATE_FRAME_MS = 50;
/** At most one frame of each look, of sixty: what comes with it is drawn in turns. More is not late, it is a halt. */
const MOST_LATE_PER_LOOK = 1;
const MIB = 1024 * 1024;
/** One every three seconds. */
const DAY_OF_EVENTS = 28_800;
/** Of 19,200 events and 1,200 looks: 27 bytes for each event, or 437 for each look, would be found. */
const MOST_GROWN_MIB = 0.5;
const VIEWS = ['backends', 'routes', 'requests', 'events', 'config', 'certificates'];

let browser: Browser;

async function cpuSeconds(session: CDPSession): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
}

/** In the page: how long it took from the navigation to the first text, and from each frame to the next. */
const FRAMES = `
  window.gaps = [];
  let last;
  const frame = (now) => {
    if (last !== undefined) window.gaps.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
`;

/** What a page holds after its garbage is gone. */
interface Held {
  readonly heapMib: number;
  readonly nodes: number;
  readonly listeners: number;
}

interface Seen {
  readonly paintMs: number;
  readonly gaps: readonly number[];
}

function isLate(gap: number): boolean {
  return gap > LATE_FRAME_MS;
}

async function framesOf(page: Page): Promise<Seen> {
  return (await page.evaluate(`({
    gaps: window.gaps,
    paintMs: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1,
  })`)) as Seen;
}

/** In the page: looks as they come, a hundred times as fast as they would, and some thousand events a second; the answers are made up there. */
const ACCELERATED = `
  const real = window.fetch.bind(window);
  const every = window.setInterval.bind(window);
  window.setInterval = (then, ms) => every(then, ms / 100);
  window.looks = 0;
  window.events = 0;
  let totals;
  const answer = (body) =>
    new Response(JSON.stringify(body), { headers: { 'Content-Type': 'application/json', ETag: '"1"' } });
  window.fetch = async (url, options) => {
    if (url.endsWith('/events')) {
      const body = new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          let text = '';
          for (let turn = 0; turn < 50; turn++) {
            const id = ++window.events;
            const data = JSON.stringify({
              level: 'info', time: new Date().toISOString(), event: 'backend.up', msg: id + 'x'.repeat(200),
            });
            text += 'id: ' + id + '\\ndata: ' + data + '\\n\\n';
          }
          controller.enqueue(new TextEncoder().encode(text));
        },
      });
      return new Response(body);
    }
    if (!url.endsWith('/totals')) return real(url, options);
    totals ??= await (await real(url, options)).json();
    const look = ++window.looks;
    totals.uptime_seconds += 1;
    for (const pool of totals.pools) {
      pool.statuses[200 + (look % 5)] = (pool.statuses[200 + (look % 5)] ?? 0) + (look % 90);
      pool.durations[look % 9] += look % 50;
      for (const backend of pool.backends) backend.requests += (look * backend.id) % 30;
      // One that comes and goes, with another id each time.
      pool.backends[0].id += 1000;
    }
    return answer(totals);
  };
`;

describe.runIf(hasTool('chromium'))('the dashboard, in large', () => {
  beforeAll(async () => {
    browser = await launchBrowser('--js-flags=--expose-gc');
  });

  test('200 backends in 10 pools at one look a second: each costs the page little CPU', {
    timeout: 120_000,
  }, async () => {
    const backend = await httpBackend(undefined, { host: '0.0.0.0' });
    const pools = Array.from({ length: POOLS }, (_, pool) => [
      `pool-${pool}`,
      {
        backends: Array.from(
          { length: BACKENDS_EACH },
          (_each, index) => `http://127.0.${pool + 1}.${index + 1}:${backend.port}`,
        ),
      },
    ]);
    const fairlead = await startFairlead({
      config: {
        pools: Object.fromEntries(pools) as object,
        routes: pools.map(([name]) => ({ path: `/${String(name)}/`, pool: name })),
      },
    });
    let turn = 0;
    const timer = setInterval(() => {
      fetch(`${fairlead.url}/pool-${turn++ % POOLS}/`).then(
        (answer) => answer.text(),
        () => {},
      );
    }, 5);
    afterTest(() => clearInterval(timer));
    const { page, complaints } = await openDashboard(browser, `${fairlead.adminUrl}/#backends`);
    await waitFor(async () => (await page.locator('#view tbody tr').count()) === 200);
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    await page.evaluate(FRAMES);
    const looked = (): Promise<number> =>
      page.evaluate(
        "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/totals')).length",
      ) as Promise<number>;
    const latePerLook: number[] = [];
    const perLook = async (): Promise<number> => {
      await page.evaluate('performance.clearResourceTimings()');
      const { gaps: earlier } = await framesOf(page);
      const before = await cpuSeconds(session);
      const count = await waitFor(async () => {
        const now = await looked();
        return now >= 8 ? now : undefined;
      });
      const cpu = ((await cpuSeconds(session)) - before) / count;
      const { gaps } = await framesOf(page);
      latePerLook.push(gaps.slice(earlier.length).filter(isLate).length / count);
      return cpu;
    };
    const most = MOST_SECONDS * slowness();
    const least = await leastOf(perLook, most);
    expect(least).toBeGreaterThan(0);
    expect(least).toBeLessThan(most);
    expect(complaints).toEqual([]);
    // What a screen would show of it depends on who else is on the machine: the best of a few times.
    while (Math.min(...latePerLook) > MOST_LATE_PER_LOOK && latePerLook.length < 5) await perLook();
    const { paintMs, gaps } = await framesOf(page);
    const late = gaps.filter(isLate);
    process.stdout.write(
      `dashboard: first paint ${Math.round(paintMs)} ms; ${gaps.length} frames, ${late.length} more than ${LATE_FRAME_MS} ms after the one before, the latest ${Math.round(Math.max(...gaps))} ms; ${Math.round(least * 1000)} ms of CPU for each look\n`,
    );
    expect(paintMs).toBeGreaterThan(0);
    expect(Math.min(...latePerLook)).toBeLessThanOrEqual(MOST_LATE_PER_LOOK);
  });

  test('a day of events, and looks in every view, leave nothing behind', {
    timeout: 180_000,
  }, async () => {
    const backend = await httpBackend();
    const urls = Array.from(
      { length: 20 },
      (_, index) => `http://127.0.0.${index + 1}:${backend.port}`,
    );
    const fairlead = await startFairlead({ config: { backends: urls } });
    const context = await browser.newContext();
    afterTest(() => context.close());
    const page = await context.newPage();
    await page.addInitScript(ACCELERATED);
    await page.goto(fairlead.adminUrl);
    const session = await context.newCDPSession(page);
    const left = async (looks: number, events: number): Promise<Held> => {
      for (const view of VIEWS) await show(page, view);
      await seen(page, 'looks', looks);
      await seen(page, 'events', events);
      await show(page, 'overview');
      // What is on its way at the moment is there in one of them and gone in the next.
      const samples = [await held(session), await held(session), await held(session)];
      const least = (of: keyof Held): number => Math.min(...samples.map((one) => one[of]));
      return { heapMib: least('heapMib'), nodes: least('nodes'), listeners: least('listeners') };
    };
    // All that is bounded is full by then.
    const third = await left(700, DAY_OF_EVENTS / 3);
    const whole = await left(1900, DAY_OF_EVENTS);
    process.stdout.write(
      `dashboard: after a third and the whole ${JSON.stringify([third, whole])}\n`,
    );
    expect(whole.heapMib - third.heapMib).toBeLessThan(MOST_GROWN_MIB);
    expect(whole.nodes - third.nodes).toBeLessThan(200);
    expect(whole.listeners - third.listeners).toBeLessThan(20);
  });
});

async function held(session: CDPSession): Promise<Held> {
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
  return { heapMib: usedSize / MIB, nodes, listeners: jsEventListeners };
}

async function seen(page: Page, what: 'looks' | 'events', most: number): Promise<void> {
  const now = async (): Promise<boolean> => Number(await page.evaluate(`window.${what}`)) >= most;
  await waitFor(now, 5 * LONG_MS, `${most} ${what}`);
}
