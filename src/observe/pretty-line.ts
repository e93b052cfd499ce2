/** Turns a JSON log line into a line for eyes: `12:03:04.567 WARN  http://localhost:3001 is DOWN: … key=value`. */

const LEVELS: Readonly<Record<string, { readonly label: string; readonly colour: number }>> = {
  debug: { label: 'DEBUG', colour: 90 },
  info: { label: 'INFO ', colour: 32 },
  warn: { label: 'WARN ', colour: 33 },
  error: { label: 'ERROR', colour: 31 },
  fatal: { label: 'FATAL', colour: 31 },
};
const DIM = 2;

/**
 * Control characters could move the cursor or hide text; those that have no width make two names look alike, and those of writing
 * from right to left let a text stand in another order than it has. They are shown, never sent to the terminal.
 */
const CONTROL = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\u2028\u2029\u115f\u1160\u3164\uffa0]/gu;

/** A line that is no JSON object comes back as it is, made safe. */
export function prettyLine(line: string, hasColours: boolean): string {
  const record = parse(line);
  if (record === undefined) return `${printable(line.trimEnd())}\n`;
  const paint = (text: string, colour: number): string =>
    hasColours ? `\x1b[${colour}m${text}\x1b[0m` : text;
  const { time, level, event, msg, ...fields } = record;
  const parts = [paint(clock(time), DIM)];
  const known = typeof level === 'string' ? LEVELS[level] : undefined;
  if (known !== undefined) parts.push(paint(known.label, known.colour));
  if (typeof msg === 'string') {
    parts.push(printable(msg));
  } else if (event !== undefined) {
    parts.push(printable(show(event)));
  }
  const { before, after, actor } = fields;
  const change = changeInWords(before, after);
  if (change !== '') parts.push(printable(`(${change})`));
  const who = actorInWords(actor);
  if (who !== '') parts.push(printable(`by ${who}`));
  const isInWords = (key: string): boolean =>
    (change !== '' && (key === 'before' || key === 'after')) ||
    (who !== '' && key === 'actor') ||
    (isObject(after) && key in after);
  // What the message says already is not said again; a number in it may mean something else.
  const rest = Object.entries(fields).filter(
    ([key, value]) =>
      !isInWords(key) &&
      (typeof msg !== 'string' ||
        typeof value !== 'string' ||
        value === '' ||
        !msg.includes(value)),
  );
  const details = rest
    .map(([key, value]) => `${printable(key)}=${printable(show(value))}`)
    .join(' ');
  if (details !== '') parts.push(paint(details, DIM));
  return `${parts.join(' ')}\n`;
}

/** What somebody has changed: `weight 1 → 3, state enabled → draining`; of what is gone, how it was. */
function changeInWords(before: unknown, after: unknown): string {
  if (!isObject(before)) return '';
  const pairs = Object.entries(before);
  if (!isObject(after)) return `was ${pairs.map(([key, was]) => `${key} ${show(was)}`).join(', ')}`;
  return pairs.map(([key, was]) => `${key} ${show(was)} → ${show(after[key])}`).join(', ');
}

/** Who that was: `token ops from 10.0.0.7`. */
function actorInWords(actor: unknown): string {
  if (!isObject(actor)) return '';
  const { token, address, program, agent } = actor;
  return [
    ...(program === true ? ['the program'] : []),
    ...(token === undefined ? [] : [`token ${show(token)}`]),
    ...(agent === undefined ? [] : [show(agent)]),
    ...(address === undefined ? [] : [`from ${show(address)}`]),
  ].join(' ');
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The access log on a terminal: `12:03:04.567 GET /path 200 3 ms http://localhost:3001`, and what went wrong. */
export function prettyAccessLine(line: string, hasColours: boolean): string {
  const record = parse(line);
  if (record === undefined || record['method'] === undefined) return prettyLine(line, hasColours);
  const paint = (text: string, colour: number): string =>
    hasColours ? `\x1b[${colour}m${text}\x1b[0m` : text;
  const status = Number(record['status']);
  const colour = status >= 500 ? 31 : status >= 400 ? 33 : 32;
  const parts = [
    paint(clock(record['time']), DIM),
    printable(`${show(record['method'])} ${show(record['path'])}`),
    paint(show(record['status']), colour),
  ];
  if (typeof record['duration_ms'] === 'number') parts.push(`${record['duration_ms']} ms`);
  for (const key of ['ended', 'backend', 'error', 'error_detail']) {
    const value = record[key];
    if (value !== undefined && value !== null) parts.push(paint(printable(show(value)), DIM));
  }
  return `${parts.join(' ')}\n`;
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Local time of day of an ISO time. */
function clock(time: unknown): string {
  const date = new Date(typeof time === 'string' ? time : Number.NaN);
  if (Number.isNaN(date.getTime())) return '--:--:--.---';
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}

/** Safe on a terminal. */
export function printable(text: string): string {
  return text.replaceAll(CONTROL, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`;
  });
}
