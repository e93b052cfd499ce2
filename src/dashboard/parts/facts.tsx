/** Small parts that views share. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { CallFailed, get } from '../data/calls.ts';
import { messageOf } from '../data/desk.ts';
import type { Tone } from '../data/rows.ts';

/** Name and value, one below the other. What is null is left out. */
export function Facts({ all }: { readonly all: Readonly<Record<string, ComponentChildren>> }) {
  return (
    <dl class="facts">
      {Object.entries(all).map(([name, value]) =>
        value === null || value === undefined ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

export function Badge({ tone, children }: { readonly tone: Tone; readonly children: string }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

export interface Asked<Body> {
  readonly body: Body | undefined;
  readonly trouble: string;
  readonly problems: CallFailed['problems'];
  readonly again: () => void;
}

/** What a call answers, asked for when the view opens, and again when `of` is another or somebody says so. */
export function useAnswer<Body>(path: string, of: unknown = '', everyMs?: number): Asked<Body> {
  const [state, setState] = useState<Omit<Asked<Body>, 'again'>>({
    body: undefined,
    trouble: '',
    problems: [],
  });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let timer: number | undefined;
    const ask = async (): Promise<void> => {
      try {
        const body = await get<Body>(path, stop.signal);
        setState({ body, trouble: '', problems: [] });
      } catch (error) {
        if (stop.signal.aborted) return;
        const problems = error instanceof CallFailed ? error.problems : [];
        setState((before) => ({ ...before, trouble: messageOf(error), problems }));
      }
      if (everyMs !== undefined && !stop.signal.aborted) {
        timer = setTimeout(() => void ask(), everyMs);
      }
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, of, turn, everyMs]);
  return { ...state, again: () => setTurn(turn + 1) };
}

export function Trouble({ text }: { readonly text: string }) {
  return text === '' ? null : (
    <p class="trouble" role="alert">
      {text}
    </p>
  );
}

/** May be wider than the page, and is moved by keys as well. */
export function Scrolled({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <section class="scrolled" tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}
