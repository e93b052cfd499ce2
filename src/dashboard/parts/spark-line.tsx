/** The last minute of one backend, small. Only those that are in sight are drawn, and only when they have changed. */
import { useEffect, useRef } from 'preact/hooks';
import { SPARK_POINTS, type Spark } from '../data/history.ts';
import { live } from '../data/session.ts';

const WIDTH = 90;
const HEIGHT = 20;
const PER_FRAME = 12;

interface Place {
  readonly canvas: HTMLCanvasElement;
  spark: Spark;
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
let color = '';

function readColor(): void {
  color = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim();
  for (const place of places.values()) {
    place.drawn = -1;
    draw(place);
  }
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', readColor);
live.look.watch(() => {
  if (!document.hidden) drawSome([...places.values()].filter(isBehind));
});

function isBehind({ isInSight, drawn, spark }: Place): boolean {
  return isInSight && drawn !== spark.version;
}

/** Some in each frame: all at once would be seen as a halt. */
function drawSome(behind: readonly Place[]): void {
  if (behind.length === 0) return;
  requestAnimationFrame(() => {
    for (const place of behind.slice(0, PER_FRAME)) draw(place);
    drawSome(behind.slice(PER_FRAME));
  });
}

function draw(place: Place): void {
  if (!isBehind(place)) return;
  const { canvas, spark } = place;
  place.drawn = spark.version;
  const context = canvas.getContext('2d');
  if (context === null) return;
  const ratio = devicePixelRatio;
  if (canvas.width !== WIDTH * ratio) {
    canvas.width = WIDTH * ratio;
    canvas.height = HEIGHT * ratio;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, WIDTH, HEIGHT);
  const most = Math.max(1, ...spark.values);
  context.beginPath();
  for (const [index, value] of spark.values.entries()) {
    const x = (index / (SPARK_POINTS - 1)) * WIDTH;
    context.lineTo(x, HEIGHT - 2 - (value / most) * (HEIGHT - 4));
  }
  context.strokeStyle = color;
  context.lineWidth = 1.25;
  context.stroke();
}

export function SparkLine({ spark }: { readonly spark: Spark }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    if (color === '') readColor();
    places.set(element, { canvas: element, spark, drawn: -1, isInSight: false });
    sight.observe(element);
    return () => {
      sight.unobserve(element);
      places.delete(element);
    };
  }, [spark]);
  return <canvas ref={canvas} class="spark" aria-hidden="true" />;
}
