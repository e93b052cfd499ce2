/** Certificates that are replaced while clients connect: nobody may notice. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tlsConnections } from '../load.mjs';
import { changeColumns, startAll } from './loaded.mjs';
import { makeCertificate } from './tls.mjs';

const CLIENTS = 8;
const SWAP_EVERY_MS = 100;
const NAME = 'fairlead';

const COLUMNS = changeColumns('connections', [
  { key: 'swaps', title: 'swaps' },
  { key: 'taken', title: 'taken up' },
]);

/** Some 300 swaps. */
const LEAST_SECONDS = 30;

const secondsOf = ({ isQuick, rounds, seconds }) =>
  isQuick ? rounds * seconds : Math.max(LEAST_SECONDS, rounds * seconds);

/** @satisfies {import('../bench.mjs').Scenario} */
export const certificates = {
  name: 'certificates',
  title: 'Certificates that are replaced',
  about: `Small GET, each over a TLS connection of its own, ${CLIENTS} clients, while the files of the certificate are replaced by those of another every ${SWAP_EVERY_MS} ms.`,
  peers: [],
  estimate: ({ options }) => 5 + secondsOf(options),

  async run(bench) {
    const notes = [];
    const pairs = [
      await makeCertificate(bench.stage, 'one'),
      await makeCertificate(bench.stage, 'two'),
    ];
    const served = { cert: bench.stage.path('served.crt'), key: bench.stage.path('served.key') };
    place(pairs[0], served);
    const task = { backends: bench.backend.ports.slice(0, 1), tls: served };
    const running = await startAll(bench, [{ name: NAME, peer: 'fairlead', task }], notes);
    try {
      const [{ port, adminPort }] = running;
      const swapping = beginSwaps(pairs, served);
      const seconds = secondsOf(bench.options);
      const load = { port, seconds, connections: CLIENTS, kind: 'new' };
      const loaded = await tlsConnections(bench.stage, load).finally(swapping.end);
      const taken = await takenUp(adminPort);
      const row = { ...loaded, name: NAME, swaps: swapping.count(), taken };
      return { columns: COLUMNS, rows: [row], notes };
    } finally {
      await Promise.all(running.map(({ child }) => bench.stage.stop(child)));
    }
  },
};

/** The key first, each by a rename, as renewing programs do it. */
function place(from, to) {
  for (const file of ['key', 'cert']) {
    writeFileSync(`${to[file]}.new`, readFileSync(from[file]));
    renameSync(`${to[file]}.new`, to[file]);
  }
}

function beginSwaps(pairs, served) {
  let count = 0;
  const over = new AbortController();
  const run = async () => {
    while (!over.signal.aborted) {
      await sleep(SWAP_EVERY_MS);
      count++;
      place(pairs[count % 2], served);
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

async function takenUp(adminPort) {
  const page = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const found = /^fairlead_certificate_reloads_total\{result="success"\} (\d+)$/m.exec(page);
  return Number(found?.[1] ?? 0);
}
