/** From `tls` of a pool to its settings: files read, known to fit together; what has no effect. */
import path from 'node:path';
import { readBackendTls } from '../certificates/backend-tls-files.ts';
import type { DiscoverySettings } from '../discovery-settings.ts';
import type { BackendTlsSettings, ValueOrigin } from '../settings.ts';
import type { Report } from './policy-report.ts';
import type { PoolView } from './pool-view.ts';

/** What relative paths from there are relative to. */
export type FolderOf = (origin: ValueOrigin) => string;

/** @returns null where everything is as without the section, or could not be read. */
export function compileBackendTls(
  view: PoolView,
  folderOf: FolderOf,
  discovery: DiscoverySettings | null,
  report: Report,
): BackendTlsSettings | null {
  const { backend_tls: given } = view.config;
  if (!view.isSound('backend_tls')) return null;
  const { verify: verifies } = given;
  const serverName = given.server_name ?? nameOfFound(view, discovery, report);
  const resolved = (key: 'ca_file' | 'cert_file' | 'key_file'): string => {
    const text = given[key];
    if (text === undefined) return '';
    return path.resolve(folderOf(view.placeOf(['backend_tls', key]).origin), text);
  };
  const files = {
    caFile: resolved('ca_file'),
    certFile: resolved('cert_file'),
    keyFile: resolved('key_file'),
  };
  if (!isWholePair(view, report)) return null;
  const { ca, pair, faults, notes } = readBackendTls(files);
  for (const { key, message } of faults) report.problem(['backend_tls', key], message);
  for (const note of notes) report.note(note);
  if (pair === undefined || ca === undefined) return null;
  const { cert, key, facts } = pair;
  const settings = { ...files, cert, key, facts, ca, serverName, verifies };
  if (cert === '' && ca === '' && serverName === '' && verifies) return null;
  noteOn(view, settings, discovery, report);
  return settings;
}

/** What is found is an address, and its certificate names the name that it was found by. */
function nameOfFound(
  { config: { backends, backend_tls: given } }: PoolView,
  discovery: DiscoverySettings | null,
  report: Report,
): string {
  if (discovery === null || !discovery.mayBeTls || !given.verify) return '';
  const { serverName, source } = discovery;
  if (serverName === '') return '';
  if (serverName === null) {
    report.problem(
      ['backend_tls', 'server_name'],
      'is missing: discover finds addresses, and it has to be said which name their certificates have',
      ['discover', source.kind],
    );
    return '';
  }
  if (backends.some(({ tls }) => tls)) {
    report.problem(
      ['backend_tls', 'server_name'],
      `is missing: what discover finds is asked for one name, and each of backends for another`,
      ['discover', source.kind],
    );
  }
  return serverName;
}

function isWholePair({ config: { backend_tls: given } }: PoolView, report: Report): boolean {
  const { cert_file: certFile, key_file: keyFile } = given;
  if ((certFile === undefined) === (keyFile === undefined)) return true;
  if (certFile === undefined) {
    report.problem(['backend_tls', 'cert_file'], 'is missing: a key needs its certificate', [
      'backend_tls',
      'key_file',
    ]);
  } else {
    report.problem(['backend_tls', 'key_file'], 'is missing: a certificate needs its key', [
      'backend_tls',
      'cert_file',
    ]);
  }
  return false;
}

function noteOn(
  { config: { backends }, keyOf }: PoolView,
  { ca, verifies }: BackendTlsSettings,
  discovery: DiscoverySettings | null,
  report: Report,
): void {
  const section = keyOf(['backend_tls']);
  const mayBeTls = discovery?.mayBeTls === true || backends.some(({ tls }) => tls);
  if ((discovery !== null || backends.length > 0) && !mayBeTls) {
    report.note(`${section} has no effect: no backend has https in its URL`);
  } else if (!verifies) {
    report.note(
      `${section}.verify is false: whoever is reached in the place of a backend is taken for it`,
    );
    if (ca !== '') report.note(`${section}.ca_file has no effect while ${section}.verify is false`);
  }
}
