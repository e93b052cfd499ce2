/** The last minute of one backend, small. Only those that are in sight are drawn, and only when they have changed. */
import { useEffect, useRef } from 'preact/hooks';
import { SPARK_POINTS, type Spark } from '../data/history.ts';
import { live } from '../data/session.ts';
import { inTurn } from './turns.ts';

const WIDTH = 90;
const HEIGHT = 20;
/** Above and below the line, which has a width. */
const EDGE = 2;
const PER_FRAME = 12;

interface Place {
  readonly path: SVGPathElement;
  readonly spark: Spark;
  drawn: number;
  isInSight: boolean;
}

const places = new Map<Element, Place>();
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const place = places.get(target);
    if (place === undefined) continue;
    place.isInSight = isIntersecting;
    draw(place);
  }
});

live.look.watch(() => {
  if (!document.hidden) inTurn(drawSome);
});

function isBehind({ isInSight, drawn, spark }: Place): boolean {
  return isInSight && drawn !== spark.version;
}

function drawSome(): void {
  const behind = [...places.values()].filter(isBehind);
  for (const place of behind.slice(0, PER_FRAME)) draw(place);
  if (behind.length > PER_FRAME) inTurn(drawSome);
}

function draw(place: Place): void {
  if (!isBehind(place)) return;
  place.drawn = place.spark.version;
  place.path.setAttribute('d', lineOf(place.spark.values));
}

function lineOf(values: Float32Array): string {
  const most = Math.max(1, ...values);
  const points = Array.from(values, (value, index) => {
    const x = (index / (SPARK_POINTS - 1)) * WIDTH;
    const y = HEIGHT - EDGE - (value / most) * (HEIGHT - 2 * EDGE);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${points.join('L')}`;
}

/** Not a canvas: each has a layer of its own, and dozens of them made the frame of each look a late one. */
export function SparkLine({ spark }: { readonly spark: Spark }) {
  const path = useRef<SVGPathElement>(null);
  useEffect(() => {
    const element = path.current;
    const whole = element?.ownerSVGElement;
    if (element === null || whole === null || whole === undefined) return;
    places.set(whole, { path: element, spark, drawn: -1, isInSight: false });
    sight.observe(whole);
    return () => {
      sight.unobserve(whole);
      places.delete(whole);
    };
  }, [spark]);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <path ref={path} />
    </svg>
  );
}
