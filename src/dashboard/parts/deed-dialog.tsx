/** Asks before anything is changed: what it means, what it needs to know, and then does it. */
import { useState } from 'preact/hooks';
import { CallFailed } from '../data/calls.ts';
import type { Field, Values } from '../data/deeds.ts';
import { messageOf } from '../data/desk.ts';
import { go, place } from '../data/place.ts';
import { desk, live } from '../data/session.ts';
import { useStore } from '../data/store.ts';
import { Modal } from './modal.tsx';

export function DeedDialog() {
  const open = useStore(desk.open);
  if (open === undefined) return null;
  return <Question key={open.deed.title} {...open} />;
}

function close(): void {
  desk.open.set(undefined);
}

type QuestionProps = NonNullable<(typeof desk.open)['now']>;

function Question({ deed, etag }: QuestionProps) {
  const [trouble, setTrouble] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [seen, setSeen] = useState(etag);

  async function perform(form: HTMLFormElement): Promise<void> {
    const values = Object.fromEntries(new FormData(form).entries()) as Values;
    setBusy(true);
    try {
      await desk.perform(deed, values, seen);
      close();
      // A dialog that is left open would keep Undo out of reach.
      if (place.now.view === 'backends') go('backends');
    } catch (error) {
      const isLate = error instanceof CallFailed && error.status === 412;
      // What is seen from here on is what is asked about the next time.
      if (isLate) live.soon();
      setSeen(isLate ? undefined : seen);
      setTrouble(
        isLate
          ? 'Something was changed since you opened this. Look again; the same button goes on all the same.'
          : messageOf(error),
      );
      setBusy(false);
    }
  }

  return (
    <Modal title={deed.title} onClose={close}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          void perform(event.currentTarget);
        }}
      >
        <p>{deed.effect}</p>
        {deed.fields?.map((field) => (
          <FieldInput key={field.name} field={field} />
        ))}
        <p class="trouble" role="alert">
          {trouble}
        </p>
        <footer>
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class={deed.isGrave ? 'grave' : 'main'} disabled={isBusy}>
            {deed.button}
          </button>
        </footer>
      </form>
    </Modal>
  );
}

function FieldInput({ field }: { readonly field: Field }) {
  const { name, label, kind, value, options = [], help, isNeeded = false } = field;
  if (kind === 'check') {
    return (
      <label class="check">
        <input type="checkbox" name={name} /> {label}
      </label>
    );
  }
  return (
    <label>
      {label}
      {kind === 'choice' ? (
        <select name={name}>
          {options.map((option) => (
            <option key={option} value={option} selected={option === value}>
              {option}
            </option>
          ))}
        </select>
      ) : (
        <input
          {...(kind === 'number' ? { type: 'number', min: 0, step: 1 } : { type: 'text' })}
          name={name}
          defaultValue={value}
          required={isNeeded}
          autocomplete="off"
          spellcheck={false}
        />
      )}
      {help !== undefined && <small>{help}</small>}
    </label>
  );
}
