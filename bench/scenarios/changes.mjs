/** Weights that change and backends that come and go under load: nobody may notice. */
import { setTimeout as sleep } from 'node:timers/promises';
import { wrk } from '../load.mjs';
import { changeColumns, startAll, warmUp } from './loaded.mjs';

const CLIENTS = 64;
const BACKENDS = 3;
const PAUSE_MS = 20;
const NAME = 'fairlead';

const COLUMNS = changeColumns('requests', [{ key: 'changes', title: 'changes' }]);

const secondsOf = ({ rounds, seconds }) => rounds * seconds;

/** @satisfies {import('../bench.mjs').Scenario} */
export const changes = {
  name: 'changes',
  title: 'Changes under load',
  about: `Small GET from ${CLIENTS} clients over ${BACKENDS} backends, of which one gets another weight, and one is removed and added again, as fast as the admin API answers with ${PAUSE_MS} ms in between.`,
  peers: [],
  estimate: ({ options }) => 5 + secondsOf(options),

  async run(bench) {
    const notes = [];
    const task = { backends: bench.backend.ports.slice(0, BACKENDS) };
    const running = await startAll(bench, [{ name: NAME, peer: 'fairlead', task }], notes);
    try {
      const load = (_bench, target) => wrk(bench.stage, { ...target, connections: CLIENTS });
      const [warm] = await warmUp(bench, running, load, notes);
      const changing = beginChanges(warm.adminPort);
      const seconds = secondsOf(bench.options);
      const loaded = await load(bench, { port: warm.port, seconds }).finally(changing.end);
      const row = { ...loaded, name: NAME, changes: changing.count() };
      return { columns: COLUMNS, rows: [row], notes };
    } finally {
      await Promise.all(running.map(({ child }) => bench.stage.stop(child)));
    }
  },
};

function beginChanges(adminPort) {
  let count = 0;
  const over = new AbortController();
  const call = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
      method,
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    count++;
    await sleep(PAUSE_MS);
    return text === '' ? null : JSON.parse(text);
  };
  const run = async () => {
    const { backends } = await call('GET', '/status');
    const [first, , last] = backends;
    let { id } = last;
    count = 0;
    for (let weight = 2; !over.signal.aborted; weight = 3 - weight) {
      await call('PATCH', `/backends/${first.id}`, { weight });
      await call('DELETE', `/backends/${id}`);
      ({ id } = await call('POST', '/backends', { url: last.url }));
    }
  };
  const running = run();
  running.catch(() => {});
  return {
    count: () => count,
    async end() {
      over.abort();
      await running;
    },
  };
}
