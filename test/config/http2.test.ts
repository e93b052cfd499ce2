import { expect, test } from 'vitest';
import { effectiveConfig } from '../../src/config/effective/effective.ts';
import { makeCertificate } from '../support/certificate.ts';
import { loadText, problemsOf } from './load-text.ts';

function loaded(text: string) {
  const result = loadText(text);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result;
}

test('clients may choose HTTP/2 over TLS unless a listener says no, and in the clear only where it says yes', () => {
  const tls = JSON.stringify({ certificates: [makeCertificate()] });
  const text = `listeners: [{ port: 1 }, { port: 2, h2c: true }, { port: 3, tls: ${tls} }, { port: 4, http2: false, tls: ${tls} }]`;
  const result = loaded(text);
  expect(result.settings.listeners.map(({ http2, h2c }) => [http2, h2c])).toEqual([
    [true, false],
    [true, true],
    [true, false],
    [false, false],
  ]);
  const { config } = effectiveConfig(result);
  const printed = config['listeners'] as { http2?: boolean; h2c?: boolean }[];
  expect(printed.map(({ http2, h2c }) => [http2, h2c])).toEqual([
    [undefined, false],
    [undefined, true],
    [true, undefined],
    [false, undefined],
  ]);
  expect(loaded(JSON.stringify(config)).settings.listeners).toEqual(result.settings.listeners);
});

test('h2c beside tls is an error', () => {
  const tls = JSON.stringify({ certificates: [makeCertificate()] });
  expect(problemsOf(`listeners: [{ port: 1, h2c: true, tls: ${tls} }]`)).toEqual([
    expect.stringContaining('h2c: is of a listener that does not speak TLS'),
  ]);
});

test('what a connection may cost', () => {
  const { settings } = loaded('');
  const { http2 } = settings.limits;
  expect(http2).toEqual({ streams: 100, resets: 1_000, controlFrames: 10_000, continuations: 8 });
  const text =
    'limits: { http2_streams: 1, http2_resets: 2, http2_control_frames: 300, http2_continuations: 0 }';
  const result = loaded(text);
  expect(result.settings.limits.http2).toEqual({
    streams: 1,
    resets: 2,
    controlFrames: 300,
    continuations: 0,
  });
  const printed = effectiveConfig(result).config['limits'];
  expect(printed).toMatchObject({ http2_streams: 1, http2_continuations: 0 });
  expect(problemsOf('limits: { http2_streams: 0 }')).toHaveLength(1);
});

/** Of the listener of `port`, in force and as it is printed, which must be read as the same. */
function protocolsOf(text: string) {
  const result = loaded(text);
  const { config } = effectiveConfig(result);
  expect(loaded(JSON.stringify(config)).settings.listeners).toEqual(result.settings.listeners);
  const { http2: shown } = config['ssl'] as { http2?: boolean };
  return [result.settings.listeners[0].http2, shown];
}

test('the short form says no in ssl', () => {
  const ssl = makeCertificate();
  expect(protocolsOf(JSON.stringify({ ssl }))).toEqual([true, true]);
  expect(protocolsOf(JSON.stringify({ ssl: { ...ssl, http2: false } }))).toEqual([false, false]);
  expect(problemsOf('ssl: { http2: off }')).toEqual([
    expect.stringContaining('ssl.http2: must be true or false, not "off"'),
  ]);
});
