/** What this tab has changed: the last ones at the edge of the page, all in a dialog, each with its way back. */
import { useEffect, useState } from 'preact/hooks';
import type { Done } from '../data/desk.ts';
import { desk } from '../data/session.ts';
import { useStore } from '../data/store.ts';
import { clock } from '../data/words.ts';
import { Modal } from './modal.tsx';

const SHOWN_MS = 30_000;
const MOST_SHOWN = 3;

export function Notices() {
  const done = useStore(desk.done);
  const [now, setNow] = useState(Date.now());
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  useEffect(() => {
    if (done.length === 0) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [done.length === 0]);
  const shown = done
    .filter(({ at, key }) => now - Date.parse(at) < SHOWN_MS && !hidden.has(key))
    .slice(0, MOST_SHOWN);
  return (
    <div class="notices" role="status">
      {shown.map((one) => (
        <div class="notice" key={one.key}>
          <DoneText one={one} />
          <button
            type="button"
            class="quiet"
            aria-label="Hide"
            onClick={() => setHidden(new Set([...hidden, one.key]))}
          >
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}

function DoneText({ one }: { readonly one: Done }) {
  const { text, state, trouble, undo, mayForce = false } = one;
  const mayUndo = undo !== undefined && (state === 'done' || state === 'failed');
  return (
    <>
      <span>
        {state === 'undone' ? `Undone: ${text}` : text}
        {state === 'failed' && <small class="trouble"> {trouble}</small>}
      </span>
      {mayUndo && (
        <button type="button" onClick={() => void undo(mayForce)}>
          Undo
        </button>
      )}
      {state === 'undoing' && <small>…</small>}
    </>
  );
}

export function DoneButton() {
  const done = useStore(desk.done);
  const [isOpen, setOpen] = useState(false);
  if (done.length === 0) return null;
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        My changes ({done.length})
      </button>
      {isOpen && (
        <Modal title="What this tab has changed" onClose={() => setOpen(false)}>
          <ul class="done">
            {done.map((one) => (
              <li key={one.key}>
                <time>{clock(one.at)}</time>
                <DoneText one={one} />
              </li>
            ))}
          </ul>
        </Modal>
      )}
    </>
  );
}
