/** The frame around the views: where one is, who one is, and whether what is shown is live. */
import { useEffect, useState } from 'preact/hooks';
import { linkTo } from './data/calls.ts';
import { go, place, VIEWS, type ViewName } from './data/place.ts';
import { live, logOut, session } from './data/session.ts';
import type { Whoami } from './data/shapes.ts';
import { useStore } from './data/store.ts';
import { ConnectionBanner, ConnectionMark } from './parts/connection-banner.tsx';
import { DeedDialog } from './parts/deed-dialog.tsx';
import { DoneButton, Notices } from './parts/done-list.tsx';
import { Login } from './parts/login.tsx';
import { Modal } from './parts/modal.tsx';
import { Backends } from './views/backends.tsx';
import { Certificates } from './views/certificates.tsx';
import { Config } from './views/config.tsx';
import { Events } from './views/events.tsx';
import { Overview } from './views/overview.tsx';
import { Requests } from './views/requests.tsx';
import { Routes } from './views/routes.tsx';

const SHOWN = {
  overview: Overview,
  backends: Backends,
  routes: Routes,
  requests: Requests,
  events: Events,
  config: Config,
  certificates: Certificates,
} satisfies Record<ViewName, () => unknown>;

const NAMES = Object.keys(VIEWS) as ViewName[];

const KEYS = [
  ['1 – 7', 'the views, from left to right'],
  ['/', 'to the filter of the view'],
  ['j, k', 'down and up in a table'],
  ['Enter', 'opens what is chosen'],
  ['Esc', 'closes a dialog'],
  ['?', 'this list'],
];

export function Shell() {
  const now = useStore(session);
  if (now.kind === 'login') return <Login key={now.why} why={now.why} />;
  if (now.kind === 'starting') {
    return (
      <main class="login">
        <h1>Fairlead</h1>
        <p>
          {now.trouble === ''
            ? 'Asking who you are…'
            : `Not reached: ${now.trouble}. Trying again.`}
        </p>
      </main>
    );
  }
  return <Room who={now.who} />;
}

function Room({ who }: { readonly who: Whoami }) {
  const { view } = useStore(place);
  const [isHelping, setHelping] = useState(false);
  const View = SHOWN[view];
  useEffect(() => {
    document.title = `${VIEWS[view]} · Fairlead`;
    // On a phone, not all of them are in sight.
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest' });
  }, [view]);
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => onKey(event, () => setHelping(true));
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, []);
  return (
    <>
      <header class="top">
        <h1>
          Fairlead <ConnectionMark />
        </h1>
        <nav aria-label="Views">
          {NAMES.map((name) => (
            <a key={name} href={linkTo(name)} aria-current={name === view ? 'page' : undefined}>
              {VIEWS[name]}
            </a>
          ))}
        </nav>
        <div class="who">
          <DoneButton />
          {who.role === 'viewer' && <span class="badge off">read only: viewer</span>}
          {who.token !== null && (
            <>
              <span>{who.token}</span>
              <button type="button" onClick={logOut}>
                Leave
              </button>
            </>
          )}
          <button type="button" class="quiet" aria-label="Keys" onClick={() => setHelping(true)}>
            ?
          </button>
        </div>
      </header>
      <ConnectionBanner />
      <main id="view">
        <View />
      </main>
      <Notices />
      <DeedDialog />
      {isHelping && (
        <Modal title="Keys" onClose={() => setHelping(false)}>
          <dl class="facts">
            {KEYS.map(([key, does]) => (
              <div key={key}>
                <dt>
                  <kbd>{key}</kbd>
                </dt>
                <dd>{does}</dd>
              </div>
            ))}
          </dl>
          <p class="empty">
            Fairlead {who.version}, process {live.look.now?.totals.pid}
          </p>
        </Modal>
      )}
    </>
  );
}

function onKey(event: KeyboardEvent, help: () => void): void {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  const isTyping =
    target instanceof HTMLElement && /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
  if (isTyping || ctrlKey || metaKey || altKey || document.querySelector('dialog[open]')) return;
  const view = NAMES[Number(key) - 1];
  if (view !== undefined) go(view);
  else if (key === '?') help();
  else if (key === '/') document.querySelector<HTMLElement>('input[type=search]')?.focus();
  else if (key === 'j' || key === 'k') moveFocus(key === 'j' ? 1 : -1);
  else return;
  event.preventDefault();
}

/** From one row of a table to the next, over the tables of the view. */
function moveFocus(by: number): void {
  const all = Array.from(document.querySelectorAll<HTMLElement>('#view tbody .link'));
  const at = all.indexOf(document.activeElement as HTMLElement);
  all[at === -1 ? 0 : at + by]?.focus();
}
