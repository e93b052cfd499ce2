/** Leaves what nobody sees as it was drawn last: of ten pools, two or three are on the screen. */
import type { ComponentChild } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

/** Around the screen: what is scrolled to is there already. */
const MARGIN = '300px';

interface InSightProps {
  readonly class: string;
  readonly draw: () => ComponentChild;
  /** Whatever else than time makes it look different: it is drawn, in sight or not. */
  readonly of: unknown;
}

export function InSight({ class: className, draw, of }: InSightProps) {
  const place = useRef<HTMLElement>(null);
  const drawn = useRef<{ of: unknown; child: ComponentChild }>(undefined);
  const [isInSight, setInSight] = useState(true);
  useEffect(() => {
    const sight = new IntersectionObserver(
      (entries) => setInSight(entries.at(-1)?.isIntersecting === true),
      { rootMargin: MARGIN },
    );
    if (place.current !== null) sight.observe(place.current);
    return () => sight.disconnect();
  }, []);
  // The same object as before is not even looked at by preact.
  if (isInSight || drawn.current === undefined || drawn.current.of !== of) {
    drawn.current = { of, child: draw() };
  }
  return (
    <section ref={place} class={className}>
      {drawn.current.child}
    </section>
  );
}
