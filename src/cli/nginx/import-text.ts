/** What `fairlead import nginx` writes: a config with where each route comes from, and what it does not say. */
import { Document, isMap, isSeq, type Node, YAMLSeq } from 'yaml';
import type { Imported } from './convert.ts';
import type { Finding } from './report.ts';

export function importedText(imported: Imported, shown: string): string {
  const { top, listeners, pools, routes, report } = imported;
  const document = new Document(
    {
      ...top,
      listeners,
      pools: Object.fromEntries(pools),
      routes: routes.map(({ route }) => route),
    },
    { aliasDuplicateObjects: false },
  );
  const list = document.get('routes');
  if (list instanceof YAMLSeq) {
    for (const [index, item] of list.items.entries()) {
      (item as Node).commentBefore = routes[index]?.comment ?? null;
    }
  }
  flowBelow(document.contents, 0);
  return `${headerOf(report.findings, shown)}\n${document.toString({ lineWidth: 0 })}`;
}

export function lineOf({ file, line, directive, kind, why }: Finding): string {
  const words = { 'left-out': 'left out', differs: 'differs', closed: 'CLOSED' } as const;
  const shown = directive.length > 80 ? `${directive.slice(0, 80)}…` : directive;
  return `${file}:${line}: ${shown}: ${words[kind]}: ${why}`.replaceAll(/[\r\n]+/g, ' ');
}

function headerOf(findings: readonly Finding[], shown: string): string {
  const lines = [
    `Made by: fairlead import nginx ${shown}`,
    'Backends are checked over TCP, since nginx does not ask them: health_check { method: http, path: … } sees more.',
    ...(findings.length === 0 ? ['All of it is carried over.'] : ['Not the same as in nginx:']),
    ...findings.map((finding) => `  ${lineOf(finding)}`),
  ];
  return lines.map((line) => `# ${line}\n`).join('');
}

/** Lists of plain values, and mappings far down, on one line. */
function flowBelow(node: unknown, depth: number): void {
  if (isMap(node)) {
    if (depth > 3) node.flow = true;
    for (const { value } of node.items) flowBelow(value, depth + 1);
  } else if (isSeq(node)) {
    const isPlain = node.items.every((item) => !isMap(item) && !isSeq(item));
    if (isPlain) node.flow = true;
    for (const item of node.items) flowBelow(item, depth + 1);
  }
}
