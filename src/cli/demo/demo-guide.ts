/**
 * What to try with the demo: steps in an order in which each finds what the ones before it have left. What they claim is
 * tested by following them (test/cli-tools/demo-steps.test.ts).
 */
import type { DemoBackend } from './demo-backends.ts';

const DEFAULT_ADMIN_PORT = 9000;

interface Step {
  readonly type: readonly string[];
  readonly see: string;
  readonly why: string;
}

export interface DemoPorts {
  readonly proxy: number;
  readonly admin: number;
}

/** For machines: one line, among the lines of the log. */
export function demoAddresses(ports: DemoPorts, backends: readonly DemoBackend[]): string {
  const line = {
    event: 'demo.ready',
    url: `http://localhost:${ports.proxy}`,
    admin_url: `http://localhost:${ports.admin}`,
    backends: backends.map(({ name, port, pid }) => ({
      name,
      url: `http://localhost:${port}`,
      pid,
    })),
  };
  return `${JSON.stringify(line)}\n`;
}

export function demoGuide(ports: DemoPorts, backends: readonly DemoBackend[]): string {
  const rows = backends.map(
    ({ name, port, pid }) => `  ${name}  http://localhost:${port}  process ${pid}\n`,
  );
  const steps = stepsOf(ports, backends).map(
    ({ type, see, why }, index) =>
      `${index + 1}.${type.map((line) => `\n     $ ${line}`).join('')}\n   See: ${see}\n   Why: ${why}\n`,
  );
  return `
The proxy  http://localhost:${ports.proxy}/
The admin  http://localhost:${ports.admin}/  (in a browser: the dashboard)
${rows.join('')}
Open another terminal in this folder and go step by step. What happens to the backends is logged here, below.

${steps.join('\n')}
Ctrl-C ends it all.

`;
}

function stepsOf({ proxy, admin }: DemoPorts, backends: readonly DemoBackend[]): readonly Step[] {
  const [first, second, third] = backends as [DemoBackend, DemoBackend, DemoBackend];
  const fairlead = (command: string): string =>
    `npx fairlead ${command}${admin === DEFAULT_ADMIN_PORT ? '' : ` --admin :${admin}`}`;
  const tryAll = `npx fairlead try http://localhost:${proxy}/ -n 300 -c 10`;
  return [
    {
      type: [`for i in 1 2 3; do curl -s localhost:${proxy}/ | grep '"name"'; done`],
      see: `${first.name}, ${second.name} and ${third.name}, one after the other.`,
      why: 'the strategy is round-robin, and a backend says who it is.',
    },
    {
      type: [fairlead('status')],
      see: 'three backends that are up.',
      why: `each is asked for /health every two seconds (30s unless set otherwise).`,
    },
    {
      type: [tryAll],
      see: '300 answers with 200, a third from each backend.',
      why: 'shares are exact, whoever sends, over however many connections.',
    },
    {
      type: [`kill ${first.pid}`, tryAll],
      see: `half from ${second.name}, half from ${third.name}; no request fails. Below: ${first.name}, :${first.port}, is DOWN.`,
      why: 'what could not connect goes to another backend at once, and the next requests go there by themselves.',
    },
    {
      type: [`curl -s -X PUT localhost:${second.port}/health -d '{"healthy": false}'`],
      see: `below, within ten seconds: :${second.port} is DOWN, too.`,
      why: 'its checks get 503 from now on. It takes three in a row: one may be chance.',
    },
    {
      type: [fairlead('status'), tryAll],
      see: `why the two are down; all from ${third.name}.`,
      why: 'one that can do it is enough. Were none left, clients would get 503, with the reason in it.',
    },
    {
      type: [`curl -s -X PUT localhost:${second.port}/health -d '{"healthy": true}'`],
      see: `below, within five seconds: :${second.port} is UP again.`,
      why: 'what is down is checked every second, however seldom the rest is.',
    },
    {
      type: [fairlead(`weight http://localhost:${third.port} 3`), tryAll],
      see: `75 from ${second.name}, 225 from ${third.name}.`,
      why: 'three parts of four, in a smooth order and never in bursts.',
    },
    {
      type: [fairlead(`drain http://localhost:${third.port} --wait`), tryAll],
      see: `all from ${second.name}.`,
      why: `requests in flight were waited for: ${third.name} may be restarted now without a client noticing.`,
    },
    {
      type: [
        fairlead(`enable http://localhost:${third.port}`),
        fairlead('strategy least-connections'),
        tryAll,
      ],
      see: 'both again; how many from which follows how busy they were.',
      why: 'a new request goes where the fewest are in flight, by weight; a change takes effect with the next request.',
    },
    {
      type: [`curl -s localhost:${admin}/metrics | grep fairlead_backend`],
      see: 'requests, latencies, health: what a Prometheus reads.',
      why: 'all that was shown above can be graphed and alerted on.',
    },
  ];
}
