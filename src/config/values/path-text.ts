/** The path of a route, as it may be written in a config file. */
import type { PathMatch } from '../../snapshot/route.ts';

export function pathOf({ kind, segments }: PathMatch): string {
  // A colon at the front would make it a name.
  const parts = segments.map((one) =>
    one.kind === 'text' ? one.text.replace(/^:/, '%3A') : `:${one.name}`,
  );
  return `${kind === 'exact' ? '=' : ''}/${parts.join('/')}`;
}
