/** What spans for OpenTelemetry cost a request. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { wrk } from '../load.mjs';
import { loadedSeconds, measureLoaded } from './loaded.mjs';

const SHARES = [0, 0.01, 0.1, 1];

/** @satisfies {import('../bench.mjs').Scenario} */
export const tracing = {
  name: 'tracing',
  title: 'Traces',
  about:
    'Small GET with `tracing` off, and with shares of the requests recorded and exported to a collector that throws them away. The figures are of the whole process: data thread, control thread and exporter.',
  peers: [],
  estimate: (bench) => (1 + SHARES.length) * loadedSeconds(bench, ['fairlead']),

  async run(bench) {
    const collector = await startCollector();
    try {
      const task = { backends: bench.backend.ports.slice(0, 1) };
      const outcome = await measureLoaded(
        bench,
        [
          { name: 'fairlead', peer: 'fairlead', task },
          ...SHARES.map((sample) => ({
            name: `fairlead, ${100 * sample} % recorded`,
            peer: 'fairlead',
            task: { ...task, tracing: { endpoint: collector.url, sample } },
          })),
        ],
        ({ stage, options }, target) => wrk(stage, { ...target, connections: options.connections }),
      );
      return { ...outcome, notes: [...outcome.notes, `Spans exported: ${collector.spans}.`] };
    } finally {
      collector.server.closeAllConnections();
      collector.server.close();
    }
  },
};

/** Takes spans as OTLP over HTTP in JSON (opentelemetry-proto, "OTLP/HTTP"), and counts them. */
async function startCollector() {
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    collector.spans += Buffer.concat(pieces).toString('latin1').split('"spanId"').length - 1;
    response.setHeader('content-type', 'application/json').end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const collector = { server, url: `http://127.0.0.1:${server.address().port}`, spans: 0 };
  return collector;
}
