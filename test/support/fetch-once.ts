/**
 * Every `fetch` of a test has a connection of its own, unless the test says otherwise. One that was kept may be closed by the
 * server in the moment in which it is used again: seldom, but where the machine is so busy that the time limits of both sides
 * are over before either can run, often enough. Vitest loads this file before every test file.
 */
const plainFetch = globalThis.fetch;

function fetchOnce(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : {}));
  if (!headers.has('connection')) headers.set('connection', 'close');
  return plainFetch(input, { ...init, headers });
}

// Files that share a process need one around it.
if (plainFetch.name !== fetchOnce.name) globalThis.fetch = fetchOnce;
