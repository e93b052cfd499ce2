/** What has happened, as it happens. */
import { useState } from 'preact/hooks';
import type { Followed } from '../data/happenings.ts';
import type { Tone } from '../data/rows.ts';
import { happenings } from '../data/session.ts';
import { useStore } from '../data/store.ts';
import { moment, shown } from '../data/words.ts';
import { Badge } from '../parts/facts.tsx';

const TONES: Readonly<Record<string, Tone>> = {
  info: 'off',
  warn: 'warn',
  error: 'bad',
  fatal: 'bad',
};
/** In the line itself, or of no use to a reader. */
const SAID = new Set(['level', 'time', 'event', 'msg', 'key', 'pid', 'cut']);

export function Events() {
  const all = useStore(happenings.all);
  const trouble = useStore(happenings.trouble);
  const [text, setText] = useState('');
  const [level, setLevel] = useState('all');
  const chosen = all.filter(
    (one) =>
      (level === 'all' || TONES[one.level] !== 'off') &&
      (text === '' || `${one.event} ${one.msg ?? ''} ${actorOf(one)}`.includes(text)),
  );
  return (
    <>
      <div class="bar">
        <input
          type="search"
          aria-label="Filter events"
          placeholder="Filter  /"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <select
          aria-label="Filter by level"
          value={level}
          onChange={(event) => setLevel(event.currentTarget.value)}
        >
          <option value="all">all levels</option>
          <option value="warn">warnings and errors</option>
        </select>
      </div>
      {trouble !== '' && <p class="trouble">Events do not come at the moment: {trouble}.</p>}
      <section>
        <EventLines events={chosen} />
      </section>
    </>
  );
}

export function EventLines({ events }: { readonly events: readonly Followed[] }) {
  if (events.length === 0) return <p class="empty">None.</p>;
  return (
    <ol class="events">
      {events.map((one) => (
        <li key={one.key}>
          <time dateTime={one.time}>{moment(one.time)}</time>
          <Badge tone={TONES[one.level] ?? 'off'}>{one.event}</Badge>
          <details>
            <summary>
              {one.msg ?? one.event}
              {actorOf(one) !== '' && <small> by {actorOf(one)}</small>}
            </summary>
            <dl class="fields">
              {Object.entries(one)
                .filter(([name]) => !SAID.has(name))
                .map(([name, value]) => (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd>{shown(value)}</dd>
                  </div>
                ))}
            </dl>
          </details>
        </li>
      ))}
    </ol>
  );
}

/** Who has done it, where somebody has. */
function actorOf({ actor }: Followed): string {
  if (typeof actor !== 'object' || actor === null) return '';
  const { token, address, program } = actor as Record<string, unknown>;
  if (program === true) return 'the program';
  return String(token ?? address ?? '');
}
