/** The results as a page, and as a picture. */

/**
 * @typedef {object} Report
 * @property {string} date
 * @property {boolean} isQuick
 * @property {Record<string, string | number>} machine
 * @property {{ rounds: number, seconds: number, connections: number }} load
 * @property {readonly { name: string, version: string }[]} proxies those that took part
 * @property {readonly { name: string, why: string }[]} missing those that could not
 * @property {readonly import('./verdicts.mjs').Verdict[]} verdicts
 * @property {readonly { name: string, title: string, about: string, columns: readonly import('./bench.mjs').Column[], rows: readonly import('./bench.mjs').Row[], notes: readonly string[] }[]} scenarios
 */

function cell(value, digits) {
  if (value === null || value === undefined) return '–';
  if (digits === undefined) return String(value);
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

/**
 * A markdown table; numbers to the right.
 * @param {readonly import('./bench.mjs').Column[]} columns
 * @param {readonly import('./bench.mjs').Row[]} rows
 */
function table(columns, rows) {
  const lines = [
    columns.map(({ title }) => title),
    columns.map(({ digits }) => (digits === undefined ? '---' : '---:')),
    ...rows.map((row) => columns.map(({ key, digits }) => cell(row[key], digits))),
  ];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const VERDICT_COLUMNS = [
  { key: 'scenario', title: 'scenario' },
  { key: 'what', title: 'figure' },
  { key: 'is', title: 'is', digits: 2 },
  { key: 'most', title: 'at most', digits: 2 },
  { key: 'unit', title: 'unit' },
  { key: 'outcome', title: '' },
];

/** The page for a file. @param {Report} report */
export function page(report) {
  return join([...headOf(report), ...targetsOf(report), ...scenariosOf(report)]);
}

/** For a terminal, where the end is what one sees. @param {Report} report */
export function terminalPage(report) {
  return join([...headOf(report), ...scenariosOf(report), ...targetsOf(report)]);
}

function join(parts) {
  return `${parts.join('\n\n')}\n`;
}

/** @param {{ rounds: number, seconds: number }} load */
export function roundsOf({ rounds, seconds }) {
  return rounds === 1 ? `one round of ${seconds} s` : `${rounds} rounds of ${seconds} s each`;
}

function headOf({ date, isQuick, machine, load, proxies, missing }) {
  const parts = [
    '# Bench results',
    `${date}, ${machine.cpu}, ${machine.cores} cores, ${machine.system}, Node ${machine.node}. Medians of ${roundsOf(load)}${isQuick ? ' (a quick run)' : ''}, ${load.connections} connections unless said otherwise. What is measured and how stands in [bench/README.md](../README.md).`,
    `Proxies: ${proxies.map(({ name, version }) => `${name} ${version}`).join(', ')}.`,
  ];
  if (missing.length > 0) {
    const lines = missing.map(({ name, why }) => `- ${name}: ${oneLine(why)}`);
    parts.push(`Missing, and so not compared:\n\n${lines.join('\n')}`);
  }
  return parts;
}

function targetsOf({ verdicts }) {
  if (verdicts.length === 0) return [];
  return ['## Targets', table(VERDICT_COLUMNS, verdicts)];
}

function scenariosOf({ scenarios }) {
  return scenarios.flatMap(({ title, about, columns, rows, notes }) => [
    `## ${title}`,
    about,
    ...(rows.length > 0 ? [table(columns, rows)] : []),
    ...(notes.length > 0 ? [notes.map((note) => `- ${oneLine(note)}`).join('\n')] : []),
  ]);
}

function oneLine(text) {
  return text.trim().replaceAll(/\s+/g, ' ');
}

const WIDTH = 720;
const NAME_WIDTH = 170;
const FIGURE_WIDTH = 60;
const ROW_HEIGHT = 30;
const TOP = 64;

/**
 * A bar chart of CPU time per request, the cheapest first. It follows the reader's light or dark theme.
 * @param {readonly import('./bench.mjs').Row[]} rows of small GET
 * @param {string} subtitle
 */
export function picture(rows, subtitle) {
  const sorted = rows.toSorted((a, b) => a.cpuUs - b.cpuUs);
  const scale = (WIDTH - NAME_WIDTH - FIGURE_WIDTH) / Math.max(...sorted.map(({ cpuUs }) => cpuUs));
  const height = TOP + sorted.length * ROW_HEIGHT + 12;
  const bars = sorted.map(({ name, cpuUs }, index) => {
    const y = TOP + index * ROW_HEIGHT;
    const length = Math.max(2, cpuUs * scale);
    const kind = name === 'fairlead' ? 'own' : 'other';
    return `  <text class="${kind}" x="${NAME_WIDTH - 12}" y="${y + 16}" text-anchor="end">${escaped(name)}</text>
  <rect class="${kind}" x="${NAME_WIDTH}" y="${y}" width="${length.toFixed(1)}" height="22" rx="3"/>
  <text class="${kind}" x="${(NAME_WIDTH + length + 8).toFixed(1)}" y="${y + 16}">${cpuUs.toFixed(1)}</text>`;
  });
  const words = sorted.map(({ name, cpuUs }) => `${name} ${cpuUs.toFixed(1)}`).join(', ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title words" font-family="system-ui, -apple-system, 'Segoe UI', sans-serif" font-size="14">
  <title id="title">CPU time per small GET, in microseconds</title>
  <desc id="words">${escaped(words)}</desc>
  <style>
    text { fill: #3d444d; }
    text.own, text.title { fill: #1f2328; font-weight: 600; }
    text.title { font-size: 16px; }
    text.subtitle { fill: #59636e; font-size: 12px; }
    rect.own { fill: #0969da; }
    rect.other { fill: #afb8c1; }
    @media (prefers-color-scheme: dark) {
      text { fill: #c9d1d9; }
      text.own, text.title { fill: #f0f6fc; }
      text.subtitle { fill: #9198a1; }
      rect.own { fill: #4493f8; }
      rect.other { fill: #484f58; }
    }
  </style>
  <text class="title" x="12" y="24">CPU time per small GET, µs (shorter is better)</text>
  <text class="subtitle" x="12" y="44">${escaped(subtitle)}</text>
${bars.join('\n')}
</svg>
`;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
