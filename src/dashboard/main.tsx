/** The dashboard: a page that lives on the admin API that it came from, and on nothing else. */
import { render } from 'preact';
import { begin } from './data/session.ts';
import { Shell } from './shell.tsx';

const app = document.getElementById('app');
if (app !== null) {
  app.replaceChildren();
  render(<Shell />, app);
  void begin();
}
