/** A collector as OTLP over HTTP describes it (opentelemetry-proto, "OTLP/HTTP"): what it gets is decoded, and checked for its form. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterTest } from './after-test.ts';
import { LONG_MS, waitFor } from './wait-for.ts';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  /** 2: server, 3: client. */
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** 2: error. */
  readonly status: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

interface AnyValue {
  readonly stringValue?: string;
  readonly intValue?: string | number;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
}

interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}

interface OtlpSpan extends Record<'traceId' | 'spanId' | 'name', string> {
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number };
  readonly attributes: readonly KeyValue[];
}

interface OtlpRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

/** `hangs`: it takes connections, and never answers. */
export type ReceiverMode = 'takes' | 'refuses' | 'hangs';

export class OtlpReceiver {
  readonly url: string;
  readonly spans: ReceivedSpan[] = [];
  readonly headers: IncomingHttpHeaders[] = [];
  readonly faults: string[] = [];
  mode: ReceiverMode = 'takes';

  constructor(url: string) {
    this.url = url;
  }

  /** The spans of a trace, once there are so many. The server's is first, then they stand as they began. */
  async trace(isOne: (span: ReceivedSpan) => boolean, count: number): Promise<ReceivedSpan[]> {
    return waitFor(
      () => {
        const traceId = this.spans.find(isOne)?.traceId;
        const all = this.spans.filter((span) => span.traceId === traceId);
        if (traceId === undefined || all.length < count) return undefined;
        return all.toSorted((a, b) => a.kind - b.kind || Number(a.startNs - b.startNs));
      },
      LONG_MS,
      `a trace with ${count} spans`,
    );
  }

  /** Of the server's span with this path. */
  ofPath(path: string, count: number): Promise<ReceivedSpan[]> {
    return this.trace((span) => span.attributes['url.path'] === path, count);
  }

  take({ resourceSpans }: OtlpRequest): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const source = valuesOf(resource.attributes);
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        const received = receivedSpan(span, source);
        this.faults.push(...faultsOf(received));
        this.spans.push(received);
      }
    }
  }
}

export async function otlpReceiver(): Promise<OtlpReceiver> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      if (receiver.mode === 'hangs') return;
      if (receiver.mode === 'refuses') {
        response.writeHead(400, { 'content-type': 'application/json' }).end('{"message":"no"}');
        return;
      }
      const { headers, method, url } = request;
      receiver.headers.push(headers);
      if (method !== 'POST' || url !== '/v1/traces') receiver.faults.push(`${method} ${url}`);
      if (headers['content-type'] !== 'application/json') receiver.faults.push('content-type');
      const body = Buffer.concat(parts);
      const text = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
      receiver.take(JSON.parse(text.toString()) as OtlpRequest);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const receiver = new OtlpReceiver(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  afterTest(() => {
    server.close();
    server.closeAllConnections();
  });
  return receiver;
}

function receivedSpan(span: OtlpSpan, resource: ReceivedSpan['resource']): ReceivedSpan {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ?? '',
    traceState: span.traceState ?? '',
    name: span.name,
    kind: span.kind,
    startNs: BigInt(span.startTimeUnixNano),
    endNs: BigInt(span.endTimeUnixNano),
    status: span.status.code ?? 0,
    attributes: valuesOf(span.attributes),
    resource,
  };
}

function valuesOf(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? value.boolValue ?? Number(value.intValue ?? value.doubleValue),
    ]),
  );
}

function faultsOf({ traceId, spanId, startNs, endNs, name }: ReceivedSpan): string[] {
  const faults: string[] = [];
  if (!/^[0-9a-f]{32}$/.test(traceId) || /^0+$/.test(traceId)) faults.push(`trace id ${traceId}`);
  if (!/^[0-9a-f]{16}$/.test(spanId) || /^0+$/.test(spanId)) faults.push(`span id ${spanId}`);
  if (endNs < startNs) faults.push(`${name} ends before it begins`);
  const offNs = startNs - BigInt(Date.now()) * 1_000_000n;
  if (offNs > 60_000_000_000n || offNs < -60_000_000_000n) faults.push(`${name} is not of now`);
  return faults;
}
