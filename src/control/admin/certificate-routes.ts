/** `/certificates`: what is served over TLS, for which names and until when. Keys are never shown. */

import type { Certificate } from '../../config/certificate-facts.ts';
import type { Settings } from '../../config/settings.ts';
import type { Certificates } from '../certificates/certificates.ts';
import { type Group, groupsOf, type Staples } from '../certificates/tls-snapshot.ts';
import type { Registry } from '../registry.ts';
import { certificates as certificatesForm } from './answers.ts';
import { etagOf } from './etag.ts';
import { answer } from './form.ts';
import type { Route } from './router.ts';

const DAY_MS = 24 * 3_600_000;

export interface CertificateRoutesOptions {
  readonly registry: Registry;
  readonly certificates: Certificates;
}

export function certificateRoutes({ registry, certificates }: CertificateRoutesOptions): Route[] {
  return [
    {
      path: '/certificates',
      summary: 'the certificates that clients are served with, and files that are not good',
      methods: {
        GET: {
          says: 'the certificates',
          answers: { 200: answer('Names, expiry and files; never keys.', certificatesForm) },
          handle: () => ({
            status: 200,
            body: {
              certificates: viewsOf(registry.settings, registry.staples),
              faults: certificates.faults.map(({ file, message }) => ({ file, message })),
            },
            headers: { ETag: etagOf(registry.generation) },
          }),
        },
      },
    },
  ];
}

/** The field names are an interface: see docs. */
function viewsOf({ listeners }: Settings, staples: Staples): object[] {
  return listeners.flatMap(({ path, tls }) => {
    if (tls === undefined) return [];
    const groups = groupsOf(tls.certificates);
    return tls.certificates.map((one) => ({
      listener: path,
      ...viewOf(one, groups),
      must_staple: one.facts.mustStaple,
      stapled: isStapled(one, groups, staples),
    }));
  });
}

/** Not where another one is served for the same names: see `buildTlsSnapshot`. */
function isStapled(one: Certificate, groups: readonly Group[], staples: Staples): boolean {
  const own = groups.filter(({ certificates }) => certificates.includes(one));
  const isAlone = own.length > 0 && own.every(({ certificates }) => certificates.length === 1);
  return isAlone && staples.has(one.facts.fingerprint);
}

function viewOf(one: Certificate, groups: readonly Group[]): object {
  const { facts, certFile, keyFile } = one;
  const own = groups.filter(({ certificates }) => certificates.includes(one));
  return {
    names: facts.names,
    /** Of its names, those that it is served for: another certificate may come first. */
    served_names: own.flatMap(({ names }) => names),
    default: groups[0]?.certificates.includes(one) === true,
    not_before: new Date(facts.notBeforeMs).toISOString(),
    not_after: new Date(facts.notAfterMs).toISOString(),
    days_left: Math.floor((facts.notAfterMs - Date.now()) / DAY_MS),
    subject: facts.subject,
    issuer: facts.issuer,
    serial: facts.serial,
    fingerprint_sha256: facts.fingerprint,
    key_type: facts.keyType,
    cert_file: certFile,
    key_file: keyFile,
  };
}
