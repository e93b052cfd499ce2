/** A reader of `GET /events`, as a browser's EventSource is one, that does not come back by itself. */
import { once } from 'node:events';
import http from 'node:http';
import { afterTest } from './after-test.ts';
import { waitFor } from './wait-for.ts';

export interface SeenEvent {
  readonly id: number;
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventStream {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** All so far. */
  readonly events: readonly SeenEvent[];
  /** As an EventSource remembers it. */
  lastId(): number;
  names(): string[];
  /** The first of this name, perhaps of those that are like this. */
  waitFor(event: string, predicate?: (data: SeenEvent['data']) => boolean): Promise<SeenEvent>;
  /** Whether the server has ended it as one ends an answer. */
  readonly ended: Promise<boolean>;
  close(): void;
}

export async function eventStream(
  adminUrl: string,
  path = '/events',
  headers: Readonly<Record<string, string>> = {},
): Promise<EventStream> {
  const request = http.get(`${adminUrl}${path}`, { headers, agent: false });
  request.on('error', () => {});
  afterTest(() => void request.destroy());
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const events: SeenEvent[] = [];
  let lastId = Number.NaN;
  let rest = '';
  response.setEncoding('utf8').on('data', (text: string) => {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string): string | undefined =>
        block
          .split('\n')
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const id = field('id');
      if (id !== undefined) lastId = Number(id);
      const data = field('data');
      if (data === undefined) continue;
      const parsed = JSON.parse(data) as SeenEvent['data'];
      events.push({ id: lastId, event: field('event') ?? '', data: parsed });
    }
  });
  response.on('error', () => {});
  const ended = new Promise<boolean>((resolve) => {
    response.on('close', () => resolve(response.complete));
  });
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    events,
    lastId: () => lastId,
    names: () => events.map(({ event }) => event),
    waitFor: (event, predicate = () => true) =>
      waitFor(
        () => events.find((one) => one.event === event && predicate(one.data)),
        undefined,
        `the event ${event}`,
      ),
    ended,
    close: () => void request.destroy(),
  };
}
