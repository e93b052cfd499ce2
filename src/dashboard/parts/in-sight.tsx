/** Leaves what nobody sees as it was drawn last: of ten pools, two or three are on the screen. Those are drawn one after the other. */
import type { ComponentChild } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { giveUpTurn, inTurn } from './turns.ts';

/** Around the screen: what is scrolled to is there already. */
const MARGIN = '300px';

interface InSightProps {
  readonly class: string;
  readonly draw: () => ComponentChild;
  /** Whatever else than time makes it look different: it is drawn at once, in sight or not. */
  readonly of: unknown;
}

export function InSight({ class: className, draw, of }: InSightProps) {
  const place = useRef<HTMLElement>(null);
  const drawn = useRef<{ of: unknown; child: ComponentChild }>(undefined);
  const isMyTurn = useRef(false);
  const [isInSight, setInSight] = useState(true);
  const [, redraw] = useState({});
  const [takeTurn] = useState(() => () => {
    isMyTurn.current = true;
    redraw({});
  });
  useEffect(() => {
    const sight = new IntersectionObserver(
      (entries) => setInSight(entries.at(-1)?.isIntersecting === true),
      { rootMargin: MARGIN },
    );
    if (place.current !== null) sight.observe(place.current);
    return () => {
      sight.disconnect();
      giveUpTurn(takeTurn);
    };
  }, []);
  // The same object as before is not even looked at by preact.
  if (isMyTurn.current || drawn.current === undefined || drawn.current.of !== of) {
    isMyTurn.current = false;
    giveUpTurn(takeTurn);
    drawn.current = { of, child: draw() };
  } else if (isInSight) inTurn(takeTurn);
  return (
    <section ref={place} class={className}>
      {drawn.current.child}
    </section>
  );
}
