/** What became of one request, and why. */
import type { KeptRequest } from '../data/shapes.ts';
import { bytes, milliseconds, moment } from '../data/words.ts';
import { Facts, Trouble, useAnswer } from '../parts/facts.tsx';
import { Modal } from '../parts/modal.tsx';

interface RequestDialogProps {
  readonly id: string;
  readonly onClose: () => void;
}

export function RequestDialog({ id, onClose }: RequestDialogProps) {
  const { body, trouble } = useAnswer<KeptRequest>(`requests/${encodeURIComponent(id)}`);
  return (
    <Modal title={`Request ${id}`} onClose={onClose} isWide>
      <Trouble text={trouble} />
      {body !== undefined && <Story request={body} />}
    </Modal>
  );
}

function Story({ request }: { readonly request: KeptRequest }) {
  const { attempts, error, error_detail: detail, no_retry: noRetry, hint } = request;
  return (
    <>
      <p class="lead path">
        {request.method} {request.host}
        {request.path}
      </p>
      {error !== null && (
        <p class="trouble">
          {error}
          {detail !== null && `: ${detail}`}
        </p>
      )}
      {noRetry !== null && <p>No further attempt: {noRetry}.</p>}
      {hint !== null && <p class="hint">{hint}</p>}
      <Facts
        all={{
          status: request.status,
          ended: request.ended,
          'came as far as': request.phase,
          'whose fault': request.error_source,
          time: moment(request.time),
          took: milliseconds(request.duration_ms),
          'waited in the queue': request.queue_ms === null ? null : milliseconds(request.queue_ms),
          'first byte after':
            request.first_byte_ms === null ? null : milliseconds(request.first_byte_ms),
          client: request.client,
          protocol: request.protocol,
          route: request.route,
          pool: request.pool,
          bytes: `${bytes(request.bytes_in)} in, ${bytes(request.bytes_out)} out`,
        }}
      />
      <h3>Attempts</h3>
      {attempts.length === 0 ? (
        <p class="empty">No backend was asked.</p>
      ) : (
        <ol class="attempts">
          {attempts.map((attempt, index) => (
            <li key={index}>
              <strong>{attempt.backend}</strong> {attempt.outcome}
              {attempt.status !== null && ` ${attempt.status}`} after{' '}
              {milliseconds(attempt.duration_ms)}, {attempt.protocol},{' '}
              {attempt.reused ? 'an open connection' : 'a new connection'}, chosen by{' '}
              {attempt.chosen_by}
            </li>
          ))}
        </ol>
      )}
    </>
  );
}
