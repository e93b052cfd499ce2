/** All of one backend, and what can be done about it. */
import { ask } from '../data/ask.ts';
import * as deeds from '../data/deeds.ts';
import { stateOf } from '../data/rows.ts';
import { live, mayChange } from '../data/session.ts';
import type { BackendTotals } from '../data/shapes.ts';
import { useStore } from '../data/store.ts';
import { count, milliseconds, moment } from '../data/words.ts';
import { Badge, Facts } from '../parts/facts.tsx';
import { Modal } from '../parts/modal.tsx';
import { SparkLine } from '../parts/spark-line.tsx';

interface BackendDialogProps {
  readonly id: number;
  readonly onClose: () => void;
}

export function BackendDialog({ id, onClose }: BackendDialogProps) {
  const look = useStore(live.look);
  const pool = look?.totals.pools.find(({ backends }) => backends.some((one) => one.id === id));
  const backend = pool?.backends.find((one) => one.id === id);
  const row = pool && look?.rows.get(pool.name)?.find((one) => one.id === id);
  if (pool === undefined || backend === undefined) {
    return (
      <Modal title={`Backend ${id}`} onClose={onClose}>
        <p>It is not there (any more).</p>
      </Modal>
    );
  }
  const [state, tone] = stateOf(backend);
  return (
    <Modal title={backend.url} onClose={onClose} isWide>
      <p class="lead">
        <Badge tone={tone}>{state}</Badge> {backend.why}
      </p>
      {backend.hint !== undefined && <p class="hint">{backend.hint}</p>}
      {mayChange() ? (
        <Deeds pool={pool.name} backend={backend} />
      ) : (
        <p class="empty">You read only: this token is a viewer’s.</p>
      )}
      <Facts
        all={{
          pool: pool.name,
          id: backend.id,
          weight: `${backend.weight}, counts for ${backend.effective_weight} now`,
          backup: backend.backup ? 'yes' : null,
          source: { config: 'the config', api: 'added here', discovery: 'found by name' }[
            backend.source
          ],
          kept: backend.kept === false ? 'no: the next start makes something else of it' : null,
          'last check': backend.last_check === null ? 'never' : moment(backend.last_check),
          'it said': backend.reason,
          'up or down since': moment(backend.last_change),
          'circuit breaker': backend.breaker,
          'ejected until': backend.ejected_until === null ? null : moment(backend.ejected_until),
          'drain ends': backend.draining?.deadline ? moment(backend.draining.deadline) : null,
          'requests, now': `${backend.conns} in flight`,
          'connections, now': backend.open_connections,
          'requests/s, last minute': row && <SparkLine spark={row.spark} />,
          requests: count(backend.requests),
          'failed attempts': count(backend.errors),
          'answers of 5xx': count(backend.server_errors),
          latency: milliseconds(backend.latency_ms),
        }}
      />
    </Modal>
  );
}

function Deeds({ pool, backend }: { readonly pool: string; readonly backend: BackendTotals }) {
  const { state } = backend;
  return (
    <div class="deeds">
      {state !== 'enabled' && (
        <button type="button" class="main" onClick={() => ask(deeds.enable(pool, backend))}>
          Enable
        </button>
      )}
      {state === 'enabled' && (
        <button type="button" onClick={() => ask(deeds.drain(pool, backend))}>
          Drain…
        </button>
      )}
      {state !== 'disabled' && (
        <button type="button" onClick={() => ask(deeds.disable(pool, backend))}>
          Disable…
        </button>
      )}
      <button type="button" onClick={() => ask(deeds.changeWeight(pool, backend))}>
        Weight…
      </button>
      <button type="button" class="grave" onClick={() => ask(deeds.remove(pool, backend))}>
        Remove…
      </button>
    </div>
  );
}
