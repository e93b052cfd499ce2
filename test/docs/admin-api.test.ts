/** Runs the examples of docs/admin-api.md, in their order, on a proxy of their own. */
import { expect, test } from 'vitest';
import { startFairlead } from '../support/fairlead.ts';
import { httpBackend } from '../support/http-backend.ts';
import { codeBlocks, codeRows, readPage } from './markdown.ts';

const page = readPage('docs/admin-api.md');

interface Example {
  readonly command: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly status: number;
  readonly answer: unknown;
}

/** A shell block with one curl, the status in the next paragraph, and perhaps the answer as the block after it. */
function examples(): Example[] {
  const blocks = codeBlocks(page);
  return blocks
    .filter(({ language }) => language === 'sh')
    .map(({ code, end }): Example => {
      const following = page.slice(end);
      const status = Number(/^\s*`(\d{3})`/.exec(following)?.[1]);
      const answer = /^\s*`\d{3}`\s*```json\n([^]*?)\n```/.exec(following)?.[1];
      const headers = Array.from(code.matchAll(/ -H '([^:']+): ([^']*)'/g), ([, name, value]) => [
        name,
        value,
      ]);
      return {
        command: code.trim(),
        method: / -X (\w+)/.exec(code)?.[1] ?? 'GET',
        path: /localhost:9000([^\s']*)/.exec(code)?.[1] ?? '',
        headers: Object.fromEntries(headers) as Record<string, string>,
        body: / -d '([^']*)'/.exec(code)?.[1],
        status,
        answer: answer === undefined ? undefined : JSON.parse(answer),
      };
    });
}

/** Keys and kinds of values, since times and counts differ from run to run. Codes are kept as they are. */
function shape(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => shape(item, key));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, shape(item, name)]),
    );
  }
  return ['code', 'type', 'status', 'hint', 'message', 'path'].includes(key) ? value : typeof value;
}

test('the documented calls answer as documented', async () => {
  const [first, second] = [await httpBackend(), await httpBackend()];
  const ports = (text: string): string =>
    text.replaceAll('8081', String(first.port)).replaceAll('8082', String(second.port));
  const fairlead = await startFairlead({ args: [`http://localhost:${first.port}`] });
  const all = examples();
  expect(all.length).toBeGreaterThan(15);
  for (const { command, method, path, headers, body, status, answer } of all) {
    const response = await fetch(`${fairlead.adminUrl}${path}`, {
      method,
      headers: {
        // What curl -d says.
        ...(body !== undefined && { 'Content-Type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      ...(body !== undefined && { body: ports(body) }),
    });
    const text = await response.text();
    // Where no answer is shown, the status is what counts; the text is there to be seen when it is another.
    const expected = answer === undefined ? text : shape(answer);
    const came = answer === undefined ? text : shape(JSON.parse(text));
    expect({ command, status: response.status, answer: came }).toEqual({
      command,
      status,
      answer: expected,
    });
  }
});

test('the table lists the calls that there are, and each has an example or is described', async () => {
  const fairlead = await startFairlead();
  const { calls } = (await (await fetch(`${fairlead.adminUrl}/`)).json()) as {
    calls: { path: string; methods: string[] }[];
  };
  const inForce = calls.flatMap(({ path, methods }) =>
    methods.map((method) => `${method} ${path}`),
  );
  const documented = codeRows(page)
    .map(([call]) => call ?? '')
    .filter((call) => /^[A-Z]+ \//.test(call) && call !== 'GET /');
  expect(documented.toSorted()).toEqual(inForce.toSorted());
});
