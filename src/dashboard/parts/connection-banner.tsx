/** Says how old what is shown is. Nothing old is passed off as live. */
import { useEffect, useState } from 'preact/hooks';
import { live } from '../data/session.ts';
import { useStore } from '../data/store.ts';
import { clock, span } from '../data/words.ts';

export function ConnectionBanner() {
  const { isLive, lastMs, why } = useStore(live.connection);
  const [, setNow] = useState(0);
  useEffect(() => {
    document.documentElement.classList.toggle('stale', !isLive);
    if (isLive) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isLive]);
  if (isLive || why === '') return null;
  return (
    <p class="banner" role="alert">
      <strong>Not live.</strong>{' '}
      {lastMs === undefined
        ? 'Nothing has been heard of Fairlead yet'
        : `What is shown is of ${clock(new Date(lastMs).toISOString())}, ${span((Date.now() - lastMs) / 1000)} ago`}
      : {why}. Trying again every second.
    </p>
  );
}

export function ConnectionMark() {
  const { isLive } = useStore(live.connection);
  return <span class={isLive ? 'mark live' : 'mark'}>{isLive ? 'live' : 'not live'}</span>;
}
