/** Which view is shown: it stands in the fragment of the address, so that going back works and a link can be sent. */
import { Store } from './store.ts';

export const VIEWS = {
  overview: 'Overview',
  backends: 'Backends',
  routes: 'Routes',
  requests: 'Requests',
  events: 'Events',
  config: 'Config',
  certificates: 'Certificates',
} as const;

export type ViewName = keyof typeof VIEWS;

export interface Place {
  readonly view: ViewName;
  /** What stands behind it: `#requests/ID`. */
  readonly detail: string;
}

function placeNow(): Place {
  const [name = '', ...rest] = location.hash.slice(1).split('/');
  const view = Object.hasOwn(VIEWS, name) ? (name as ViewName) : 'overview';
  return { view, detail: decoded(rest.join('/')) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const place = new Store<Place>(placeNow());
addEventListener('hashchange', () => place.set(placeNow()));

export function go(view: ViewName, detail = ''): void {
  location.hash = detail === '' ? view : `${view}/${encodeURIComponent(detail)}`;
}
