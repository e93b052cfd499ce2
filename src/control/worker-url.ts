/** The program of a data thread, from wherever this module was bundled to; `.js` when compiled, `.ts` in the source. */
export const WORKER_URL = new URL(
  `../data/worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);
