/** What this tab has changed, and takes back when asked to. */
import { type Call, CallFailed, call } from './calls.ts';
import type { Deed, Plan, Run, Values } from './deeds.ts';
import { Store } from './store.ts';

/** Older ones can't be taken back from here any more. */
const MOST_KEPT = 20;

export interface Done {
  readonly key: number;
  readonly at: string;
  readonly text: string;
  readonly state: 'done' | 'undoing' | 'undone' | 'failed';
  readonly trouble?: string;
  readonly undo?: (isForced: boolean) => Promise<void>;
  /** It may be taken back over the changes of others. */
  readonly mayForce?: boolean;
}

export class Desk {
  /** The newest first. */
  readonly done = new Store<readonly Done[]>([]);
  /** The deed that waits for its confirmation, and the state of the instance that it is about. */
  readonly open = new Store<{ readonly deed: Deed; readonly etag: string | undefined } | undefined>(
    undefined,
  );
  #keys = 0;
  /** Told after each change, with the state that it was about and the one that it has left; undefined: not known. */
  onChange: (seen: string | undefined, left: string | undefined) => void = () => {};

  /** @throws CallFailed; 412: somebody else has changed something since. */
  async perform(deed: Deed, values: Values, etag: string | undefined): Promise<void> {
    const plan = deed.plan(values);
    const answer = await call(plan.call, { etag });
    this.onChange(etag, answer.etag);
    this.#note(plan, answer.body, answer.etag);
  }

  /** It is not shown any more. */
  dismiss(key: number): void {
    this.done.set(this.done.now.filter((one) => one.key !== key));
  }

  #note({ done, undo }: Plan, answer: unknown, etag: string | undefined): void {
    const key = ++this.#keys;
    const at = new Date().toISOString();
    const takeBack =
      undo &&
      (async (isForced: boolean): Promise<void> => {
        this.#set(key, { state: 'undoing' });
        // On what this change has left, unless others may be written over.
        const run = chained(isForced ? undefined : etag, this.onChange);
        try {
          await undo(answer, run);
          this.#set(key, { state: 'undone' });
        } catch (error) {
          const isLate = error instanceof CallFailed && error.status === 412;
          const trouble = isLate
            ? 'Something else was changed since. Undo all the same?'
            : `Not undone: ${messageOf(error)}`;
          this.#set(key, { state: 'failed', trouble, mayForce: isLate });
          this.onChange(undefined, undefined);
        }
      });
    const entry: Done = { key, at, text: done, state: 'done', ...(takeBack && { undo: takeBack }) };
    this.done.set([entry, ...this.done.now].slice(0, MOST_KEPT));
  }

  #set(key: number, change: Partial<Done>): void {
    this.done.set(this.done.now.map((one) => (one.key === key ? { ...one, ...change } : one)));
  }
}

/** Each call on what the one before has left, which is told. */
function chained(first: string | undefined, tell: Desk['onChange']): Run {
  let etag = first;
  return async (one: Call) => {
    const seen = etag;
    const answer = await call(one, { etag });
    etag = first === undefined ? undefined : answer.etag;
    tell(seen, answer.etag);
    return answer;
  };
}

export function messageOf(error: unknown): string {
  if (!(error instanceof CallFailed)) return String(error);
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}
