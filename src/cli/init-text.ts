/** The config that `fairlead init` writes: what was chosen, and beside it, commented out, what is looked for next. */
import { Document, visit } from 'yaml';
import { STRATEGY_NAMES } from '../snapshot/snapshot.ts';

export interface InitChoices {
  readonly backends: readonly string[];
  readonly port: number;
  readonly adminPort: number;
  readonly strategy: string;
}

export type InitFormat = 'yaml' | 'code';

interface Entry {
  /** Lines. */
  readonly comment: readonly string[];
  readonly key: string;
  readonly value: unknown;
  /** It is there to be uncommented. */
  readonly isOff?: true;
}

function entriesOf({ backends, port, adminPort, strategy }: InitChoices): Entry[] {
  return [
    { comment: ['Where clients connect.'], key: 'port', value: port },
    {
      comment: ['The admin API, on 127.0.0.1: what fairlead status, top, drain and events ask.'],
      key: 'admin_port',
      value: adminPort,
    },
    {
      comment: [
        'Where requests go. In the place of a URL: { url: http://localhost:3002, weight: 3, backup: true }',
      ],
      key: 'backends',
      value: backends,
    },
    {
      comment: [
        `Who gets the next request: ${STRATEGY_NAMES.slice(0, -1).join(', ')}`,
        `or ${STRATEGY_NAMES.at(-1)}.`,
      ],
      key: 'strategy',
      value: strategy,
    },
    {
      comment: [
        'Backends are checked at this path: any 2xx is healthy. Unless it is set, /health is tried,',
        'and a backend that has no such page is checked by TCP.',
      ],
      key: 'health_check_path',
      value: '/health',
      isOff: true,
    },
    {
      comment: ['Time between two checks.'],
      key: 'health_check_frequency',
      value: '10s',
      isOff: true,
    },
    {
      comment: ['Each client stays with its backend, by a signed cookie.'],
      key: 'sticky',
      value: { by: 'cookie', ttl: '8h' },
      isOff: true,
    },
    {
      comment: ['How long a backend may take: to begin its answer, and for all of it.'],
      key: 'timeouts',
      value: { response: '10s', total: '1m' },
      isOff: true,
    },
    {
      comment: ['What may be repeated goes to another backend after these answers, too.'],
      key: 'retries',
      value: { on_status: [502, 503] },
      isOff: true,
    },
    {
      comment: ['So many requests per second of one client address; 429 beyond that.'],
      key: 'rate_limit',
      value: { rate: 100, burst: 20, by: 'ip' },
      isOff: true,
    },
    {
      comment: ['Whose X-Forwarded-For is believed: balancers in front of this one.'],
      key: 'trusted_proxies',
      value: ['10.0.0.0/8'],
      isOff: true,
    },
  ];
}

export function initText(choices: InitChoices, format: InitFormat, shown: string): string {
  const mark = format === 'yaml' ? '#' : '//';
  const header = [
    'Made by: fairlead init',
    `Check it with: fairlead check --config ${shown}`,
    `Run it with:   fairlead --config ${shown}`,
    'A change of this file is taken up by itself. fairlead print-config shows every key, its value and where that comes from.',
  ].map((line) => `${mark} ${line}`);
  const show = format === 'yaml' ? asYaml : asCode;
  const entries = entriesOf(choices).map((entry) => {
    const comment = entry.comment.map((line) => `${mark} ${line}`);
    const lines = show(entry.key, entry.value).split('\n');
    return [...comment, ...(entry.isOff ? lines.map((line) => `${mark}${line}`) : lines)];
  });
  if (format === 'yaml')
    return `${[header, ...entries].map((block) => block.join('\n')).join('\n\n')}\n`;
  const body = entries.map((lines) => lines.map((line) => `  ${line}`).join('\n'));
  return `${header.join('\n')}
import { defineConfig } from ${literal('fairlead')};

export default defineConfig({
${body.join('\n\n')}
});
`;
}

/** Mappings in braces, on the line of their key. */
function asYaml(key: string, value: unknown): string {
  const document = new Document({ [key]: value });
  visit(document, {
    Collection: (_key, node, path) => {
      if (path.length > 2 && !(key === 'backends')) node.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: true }).trimEnd();
}

function asCode(key: string, value: unknown): string {
  return `${key}: ${literal(value)},`;
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).map(([key, one]) => `${key}: ${literal(one)}`);
    return `{ ${pairs.join(', ')} }`;
  }
  if (typeof value !== 'string') return String(value);
  return `'${JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}
