/** Values of nginx as Fairlead writes them. */

const VARIABLES: ReadonlyMap<string, string> = new Map([
  ['host', '${host}'],
  ['http_host', '${host}'],
  ['scheme', '${scheme}'],
  ['remote_addr', '${client.address}'],
  ['uri', '${path}'],
  ['document_uri', '${path}'],
  ['args', '${query}'],
  ['query_string', '${query}'],
  ['request_method', '${method}'],
  ['request_id', '${request.id}'],
]);

/** With our variables in the place of those of nginx. @returns undefined where there is none for one of them. */
export function templateOf(
  text: string,
  more: ReadonlyMap<string, string> = new Map(),
): string | undefined {
  let isKnown = true;
  // `$${` is a plain `${`; nginx has none.
  const template = text.replaceAll(/\$\{(\w+)\}|\$(\w+)/g, (whole, braced, plain) => {
    const name = String(braced ?? plain);
    const field = /^http_(\w+)$/.exec(name)?.[1];
    const ours =
      more.get(name) ??
      VARIABLES.get(name) ??
      (field === undefined ? undefined : `\${header.${field.replaceAll('_', '-')}}`);
    if (ours === undefined) isKnown = false;
    return ours ?? whole;
  });
  return isKnown ? template : undefined;
}

/** `30`, `1m`, `1h 30m`, `500ms`; `d`, `w`, `M` and `y` are so many hours. @returns undefined where it is none. */
export function durationOf(text: string): string | undefined {
  const hours: Record<string, number> = { d: 24, w: 168, M: 720, y: 8760 };
  const parts = text
    .split(/\s+/)
    .join('')
    .match(/\d+(?:ms|[smhdwMy])?/g);
  if (parts === null || parts.join('') !== text.replaceAll(/\s+/g, '')) return undefined;
  const written = parts.map((part) => {
    const [, amount = '', unit = 's'] = /^(\d+)(\w*)$/.exec(part) ?? [];
    const inHours = hours[unit];
    return inHours === undefined
      ? `${Number(amount)}${unit || 's'}`
      : `${Number(amount) * inHours}h`;
  });
  return written.join('');
}

/** `10m` is 10MiB there. 0: no limit. @returns undefined where it is none. */
export function sizeOf(text: string): string | false | undefined {
  const [, amount, unit = ''] = /^(\d+)([kKmMgG]?)$/.exec(text) ?? [];
  if (amount === undefined) return undefined;
  if (Number(amount) === 0) return false;
  const units: Record<string, string> = { k: 'KiB', m: 'MiB', g: 'GiB' };
  return `${Number(amount)}${units[unit.toLowerCase()] ?? 'B'}`;
}
