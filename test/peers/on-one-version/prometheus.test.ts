/** A real Prometheus scrapes us, by the files of examples/monitoring, and evaluates every expression in them. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { startProxy } from '../../behaviour/stage.ts';
import { codeBlocks, readPage } from '../../docs/markdown.ts';
import { makeCertificate } from '../../support/certificate.ts';
import type { Fairlead } from '../../support/fairlead.ts';
import { freePort } from '../../support/free-port.ts';
import { onFreePorts } from '../../support/free-ports.ts';
import { httpBackend } from '../../support/http-backend.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { hasTool, pathOf } from '../../support/tools.ts';
import { LONG_MS, waitFor } from '../../support/wait-for.ts';
import { startProgram } from './program.ts';

const MONITORING = fileURLToPath(new URL('../../../examples/monitoring/', import.meta.url));
const ALERTS = join(MONITORING, 'alerts.yml');

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[];
}

interface Dashboard {
  readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  readonly templating: { readonly list: readonly { readonly query: string | Variable }[] };
}

interface Variable {
  readonly query: string;
}

interface Answer {
  readonly status: string;
  readonly data: {
    readonly result: readonly { readonly metric: object; readonly value: [number, string] }[];
  };
}

const dashboard = JSON.parse(readFileSync(join(MONITORING, 'grafana.json'), 'utf8')) as Dashboard;
const rules = parse(readFileSync(ALERTS, 'utf8')) as Rules;
const alerts = rules.groups.flatMap((group) => group.rules.map(({ expr }) => expr));
const panels = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
const variables = dashboard.templating.list.flatMap(({ query }) =>
  typeof query === 'string' ? [] : [query.query],
);

/** What Grafana puts in the place of its variables. */
function filledIn(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '1m')
    .replaceAll(/\$(job|instance|pool)\b/g, '.*');
}

/** Names of metrics in an expression; those of Prometheus itself (`up`) begin otherwise. */
function namesIn(expression: string): string[] {
  return expression.match(/\b(?:fairlead|process)_[a-z_]+/g) ?? [];
}

/** Of every sample on the page. */
function namesOn(page: string): Set<string> {
  const samples = page.split('\n').filter((line) => !line.startsWith('#'));
  return new Set(samples.map((line) => line.replace(/[{ ].*/, '')));
}

describe.skipIf(!hasTool('prometheus') || !hasTool('promtool'))('Prometheus', () => {
  let fairlead: Fairlead;
  let api: string;
  let page: string;

  async function ask(query: string): Promise<Answer> {
    const response = await fetch(`${api}/query?query=${encodeURIComponent(query)}`);
    return (await response.json()) as Answer;
  }

  beforeAll(async () => {
    const backend = await httpBackend();
    fairlead = await onFreePorts(1, ([port = 0]) =>
      startProxy([backend.url], {
        listeners: [{ port, host: '127.0.0.1', tls: { certificates: [makeCertificate()] } }],
        routes: [{ path: '/robots.txt', respond: { status: 204 } }],
      }),
    );
    for (const path of ['/', '/', '/', '/robots.txt']) await fetch(`${fairlead.url}${path}`);
    const answered = /fairlead_requests_total\{pool="default",backend="http[^"]*",code="200"\} 3$/m;
    await waitFor(
      async () => {
        page = await (await fetch(`${fairlead.adminUrl}/metrics`)).text();
        return answered.test(page) && page.includes('route="routes.0",code="204"} 1');
      },
      LONG_MS,
      'the requests to be counted',
    );
    const folder = temporaryFolder('prometheus');
    const config = readFileSync(join(MONITORING, 'prometheus.yml'), 'utf8')
      .replace('15s', '1s')
      .replace('alerts.yml', ALERTS)
      .replace('localhost:9000', new URL(fairlead.adminUrl).host);
    writeFileSync(join(folder, 'prometheus.yml'), config);
    for (let left = 3; ; left--) {
      const address = `127.0.0.1:${await freePort()}`;
      const program = startProgram(pathOf('prometheus') ?? '', [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${address}`,
      ]);
      api = `http://${address}/api/v1`;
      const isUp = await waitFor(
        async () => {
          if (!program.isRunning()) return 'no';
          const found = await ask('up == 1').catch(() => undefined);
          return found?.status === 'success' && found.data.result.length === 1 && 'yes';
        },
        LONG_MS,
        'the first scrape',
      );
      if (isUp === 'yes') return;
      if (left === 1) throw new Error(`Prometheus did not start:\n${program.output()}`);
    }
  });

  test('promtool finds nothing wrong with the page', () => {
    const { stdout, stderr, status } = spawnSync(pathOf('promtool') ?? '', ['check', 'metrics'], {
      input: page,
      encoding: 'utf8',
    });
    expect([stdout, stderr, status]).toEqual(['', '', 0]);
  });

  test('promtool accepts the config and the rules', () => {
    const checked = spawnSync(
      pathOf('promtool') ?? '',
      ['check', 'config', join(MONITORING, 'prometheus.yml')],
      { encoding: 'utf8' },
    );
    expect(checked.stdout).toContain(`${alerts.length} rules found`);
    expect([checked.stderr, checked.status]).toEqual(['', 0]);
  });

  test('the queries of docs/metrics.md are understood, and ask for metrics that there are', async () => {
    const queries = codeBlocks(readPage('docs/metrics.md'))
      .filter(({ language }) => language === 'promql')
      .map(({ code }) => code.trim());
    expect(queries.length).toBeGreaterThan(5);
    for (const query of queries) {
      expect([query, (await ask(query)).status]).toEqual([query, 'success']);
      const families = namesIn(query).map((name) => name.replace(/_(bucket|sum|count)$/, ''));
      expect(families.filter((name) => !page.includes(`# TYPE ${name} `))).toEqual([]);
    }
  });

  test('it has scraped what the page says', async () => {
    const { data } = await ask('sum by (code) (fairlead_requests_total{pool="default"})');
    const counts = data.result.map(({ metric, value }) => [metric, value[1]]);
    expect(counts).toContainEqual([{ code: '200' }, '3']);
    const { data: of } = await ask(
      'fairlead_request_duration_seconds_bucket{le="1.2"} - ignoring(le) fairlead_request_duration_seconds_bucket{le="0.3"}',
    );
    expect(of.result).toHaveLength(1);
    const { data: routes } = await ask('fairlead_route_requests_total{route="routes.0"}');
    expect(routes.result.map(({ value }) => value[1])).toEqual(['1']);
  });

  test('every metric of the alerts and the dashboard exists', () => {
    const existing = namesOn(page);
    const named = [...alerts, ...panels, ...variables].flatMap(namesIn);
    expect(new Set(named).size).toBeGreaterThan(30);
    expect([...new Set(named)].filter((name) => !existing.has(name))).toEqual([]);
  });

  test('every expression of the alerts and the dashboard can be evaluated', async () => {
    expect([alerts.length, panels.length].every((count) => count > 15)).toBe(true);
    for (const expression of [...alerts, ...panels]) {
      expect({ expression, ...(await ask(filledIn(expression))) }).toMatchObject({
        expression,
        status: 'success',
      });
    }
  });
});
