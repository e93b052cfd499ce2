/** The last minutes as lines: uPlot, which draws on a canvas and keeps no element per point. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { History } from '../data/history.ts';
import { live } from '../data/session.ts';
import { giveUpTurn, inTurn } from './turns.ts';

export interface Line {
  /** Its column in the history. */
  readonly column: number;
  readonly label: string;
  /** The name of a colour of the style. */
  readonly color: string;
}

interface ChartProps {
  readonly title: string;
  readonly unit: (value: number) => string;
  readonly lines: readonly Line[];
  readonly history: History;
}

const HEIGHT = 170;
/** Shown from the start, so that the first points are not stretched over all of it. */
const LEAST_SECONDS = 120;
const dark = matchMedia('(prefers-color-scheme: dark)');

function colorOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function optionsOf({ unit, lines }: ChartProps, width: number): uPlot.Options {
  const axis = {
    stroke: colorOf('muted'),
    grid: { stroke: colorOf('line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  return {
    width,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    legend: { show: false },
    // Half of the last time below it.
    padding: [8, 30, 0, 0],
    scales: {
      x: { range: (_plot, first, last) => [Math.min(first, last - LEAST_SECONDS), last] },
      y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.1 : 1] },
    },
    axes: [
      { ...axis, size: 28, space: 90, values: (_plot, ticks) => ticks.map(clockOf) },
      { ...axis, size: 56, space: 32, values: (_plot, ticks) => ticks.map(unit) },
    ],
    series: [
      {},
      ...lines.map(({ label, color }) => ({
        label,
        stroke: colorOf(color),
        width: 1.5,
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}

function clockOf(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
}

function dataOf({ history, lines }: ChartProps): uPlot.AlignedData {
  const [times = []] = history.columns;
  const columns = [times, ...lines.map(({ column }) => history.columns[column] ?? [])];
  return columns as unknown as uPlot.AlignedData;
}

export function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const { title, lines, unit, history } = props;
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    let plot: uPlot | undefined;
    let seen = -1;
    const draw = (): void => {
      plot?.destroy();
      plot = new uPlot(optionsOf(props, element.clientWidth), dataOf(props), element);
    };
    const follow = (): void => {
      if (document.hidden || seen === history.version) return;
      seen = history.version;
      plot?.setData(dataOf(props));
    };
    const sizes = new ResizeObserver(() => {
      if (element.clientWidth > 0) plot?.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    draw();
    const stop = live.look.watch(() => inTurn(follow));
    dark.addEventListener('change', draw);
    sizes.observe(element);
    return () => {
      stop();
      giveUpTurn(follow);
      dark.removeEventListener('change', draw);
      sizes.disconnect();
      plot?.destroy();
    };
  }, [history]);
  const latest = lines.map(({ label, column }) => {
    const value = history.columns[column]?.at(-1);
    return `${label} ${value === null || value === undefined ? 'none' : unit(value)}`;
  });
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <span class="keys">
          {lines.map(({ label, color }) => (
            <span key={label}>
              <i class={`key ${color}`} aria-hidden="true" />
              {label}
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={place} role="img" aria-label={`${title}, now: ${latest.join(', ')}`} />
    </figure>
  );
}
