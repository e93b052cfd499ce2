/** The lines of a metrics page: families, their samples, and the escaping of labels. */

export type Labels = Readonly<Record<string, string>>;

export class Page {
  readonly #lines: string[] = [];
  #name = '';

  family(name: string, type: 'counter' | 'gauge' | 'histogram' | 'summary', help: string): void {
    this.#name = name;
    this.#lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
  }

  sample(labels: Labels, value: number, suffix = ''): void {
    const pairs = Object.entries(labels)
      .map(([name, text]) => `${name}="${escapeLabel(text)}"`)
      .join(',');
    const braces = pairs === '' ? '' : `{${pairs}}`;
    this.#lines.push(`${this.#name}${suffix}${braces} ${number(value)}`);
  }

  single(name: string, type: 'counter' | 'gauge', help: string, value: number): void {
    this.family(name, type, help);
    this.sample({}, value);
  }

  text(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
