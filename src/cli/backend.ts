/** `fairlead backend`: the sample backend as a process of its own. */
import { parseListenHost } from '../config/values/network-address.ts';
import { type CommandSpec, HELP_FLAG, helpOf } from './command-spec.ts';
import { type SampleBackend, startSampleBackend } from './demo/sample-backend.ts';
import { parseFlags, UsageError, wholeNumber, withUsageErrors } from './tool-flags.ts';

export const BACKEND = {
  name: 'backend',
  usage: '[--port 8080] [--host ADDRESS] [--name NAME]',
  about: `A sample backend. / echoes the request as JSON; /health answers 200, and fails after PUT /health {"healthy": false};
/slow?ms=N waits, /status/CODE answers with the code, /bytes/N sends N bytes.
Without flags it listens on BACKEND_LISTEN_ADDR (":8080", "host:port"), else on port 8080 of all addresses.`,
  flags: {
    port: { type: 'string', short: 'p', value: 'PORT', help: 'where it listens; 0: a free port' },
    host: { type: 'string', value: 'ADDRESS', help: 'on which address (all)' },
    name: { type: 'string', value: 'NAME', help: 'what it calls itself in its answers' },
    json: {
      type: 'boolean',
      help: 'where it listens as a line of JSON, on a terminal too:\n{ event, name, port, url }',
    },
    ...HELP_FLAG,
  },
  examples: ['fairlead backend --port 8081', 'fairlead backend -p 8082 --name second'],
} as const satisfies CommandSpec;

/** What a sample backend says to the process that forked it, once it listens. */
export interface BackendListening {
  readonly event: 'listening';
  readonly port: number;
  readonly url: string;
}

interface ListenAddress {
  readonly host: string | undefined;
  readonly port: number;
}

export function runBackend(args: readonly string[]): Promise<number> {
  return withUsageErrors('backend', async () => {
    const { values, positionals } = parseFlags(args, BACKEND.flags);
    if (values.help === true) {
      process.stdout.write(helpOf(BACKEND));
      return 0;
    }
    if (positionals.length > 0) throw new UsageError(`Unexpected argument "${positionals[0]}"`);
    const environment = fromEnvironment(process.env['BACKEND_LISTEN_ADDR']);
    const host = values.host === undefined ? environment.host : checkedHost('--host', values.host);
    const port =
      values.port === undefined ? environment.port : wholeNumber('--port', values.port, 0, 65_535);
    // The name goes into a header field.
    if (values.name !== undefined && !/^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(values.name)) {
      throw new UsageError('--name must be printable ASCII');
    }
    return serve({ host, port }, values.name, values.json === true);
  });
}

function fromEnvironment(text = ':8080'): ListenAddress {
  const parts = /^(?:(.*):)?(\d+)$/.exec(text);
  if (parts === null) {
    throw new UsageError(`BACKEND_LISTEN_ADDR must be ":port" or "host:port", not "${text}"`);
  }
  const [, host = '', port = ''] = parts;
  return {
    host: host === '' ? undefined : checkedHost('BACKEND_LISTEN_ADDR', host),
    port: wholeNumber('The port of BACKEND_LISTEN_ADDR', port, 0, 65_535),
  };
}

function checkedHost(name: string, text: string): string {
  const host = parseListenHost(text);
  if (host === undefined) throw new UsageError(`${name}: "${text}" is not a host or an address`);
  return host;
}

async function serve(
  address: ListenAddress,
  name: string | undefined,
  isForMachines: boolean,
): Promise<number> {
  let backend: SampleBackend;
  try {
    backend = await startSampleBackend({ ...address, name });
  } catch (error) {
    const shown = `${address.host ?? ''}:${address.port}`;
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      process.stderr.write(`fairlead backend: the address ${shown} is in use\n`);
      return 3;
    }
    process.stderr.write(`fairlead backend: ${shown}: ${(error as Error).message}\n`);
    return 1;
  }
  announce(backend, isForMachines || !process.stdout.isTTY);
  await toldToEnd();
  await backend.close();
  // The channel to the process that forked this one would keep this one alive.
  if (process.connected) process.disconnect();
  return 0;
}

function announce({ name, port, url }: SampleBackend, isForMachines: boolean): void {
  const line = isForMachines
    ? JSON.stringify({ event: 'listening', name, port, url })
    : `Sample backend ${name} listens on ${url}`;
  process.stdout.write(`${line}\n`);
  const message: BackendListening = { event: 'listening', port, url };
  process.send?.(message);
}

/** A signal; or, when another process forked this one, that process's end. */
function toldToEnd(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
    process.once('disconnect', () => resolve());
  });
}
