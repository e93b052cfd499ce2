/** Extensible priorities (RFC 9218 §4): of a Priority field, or a PRIORITY_UPDATE. What is not valid has not been said. */
export const DEFAULT_URGENCY = 3;

/** 0 (most urgent) to 7. */
export function urgencyOf(priority: string): number {
  const said = memberOf(priority, 'u');
  const digit = said.charCodeAt(0) - 0x30;
  return said.length === 1 && digit >= 0 && digit <= 7 ? digit : DEFAULT_URGENCY;
}

/** Whether its parts are of use one by one, so that it may take turns with others of the same urgency. */
export function isIncremental(priority: string): boolean {
  return memberOf(priority, 'i') === '?1';
}

/** Of a dictionary (RFC 8941 §3.2): the last member with this key; its value without parameters, `?1` where it has none. */
function memberOf(dictionary: string, key: string): string {
  let found = '';
  let start = 0;
  while (start < dictionary.length) {
    const comma = dictionary.indexOf(',', start);
    const end = comma === -1 ? dictionary.length : comma;
    const value = valueOf(dictionary.slice(start, end).trim(), key);
    if (value !== '') found = value;
    start = end + 1;
  }
  return found;
}

/** Empty: it is another member. */
function valueOf(member: string, key: string): string {
  if (!member.startsWith(key)) return '';
  const semicolon = member.indexOf(';');
  const bare = semicolon === -1 ? member : member.slice(0, semicolon).trimEnd();
  if (bare === key) return '?1';
  return bare.startsWith('=', key.length) ? bare.slice(key.length + 1) : '';
}
