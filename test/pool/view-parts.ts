import type { Backend } from '../../src/data/backend/backend.ts';
import { SessionAsks } from '../../src/data/balance/session-asks.ts';
import { Deadlines } from '../../src/data/deadlines.ts';
import { RateAsks } from '../../src/data/limit/rate-asks.ts';
import { Pool } from '../../src/data/pool/pool.ts';
import type { ViewParts } from '../../src/data/pool/view.ts';
import { createClientTables } from '../../src/snapshot/client-table.ts';
import type { BackendSnapshot, PoolSnapshot } from '../../src/snapshot/snapshot.ts';

const NO_ENGINE = new RateAsks(
  new Deadlines(),
  () => 0,
  () => {},
);

const NO_SESSIONS = new SessionAsks(new Deadlines(), () => {});

/** What views are built from in a test: of backends, only what is picked from. */
export function viewParts(): ViewParts {
  const thread = {
    threadIndex: 0,
    threadCount: 1,
    deadlines: new Deadlines(),
    random: () => 0,
  };
  const clientTables = createClientTables(1);
  return {
    strategyContext: { random: () => 0, now: () => 0 },
    createPool: (spec: PoolSnapshot) => new Pool(spec, thread),
    createBackend: (spec: BackendSnapshot) => {
      const backend = {
        id: spec.id,
        key: spec.url,
        spec,
        weight: spec.weight,
        inFlight: 0,
        inFlightCell: new Int32Array(1),
        update(next: BackendSnapshot) {
          backend.spec = next;
          backend.weight = next.weight;
        },
      };
      return backend as unknown as Backend;
    },
    clientTables,
    sessionAsks: NO_SESSIONS,
    rates: { memory: clientTables.rates, reserves: clientTables.reserves, asks: NO_ENGINE },
    threadIndex: 0,
    processNowMs: () => 1000,
  };
}
