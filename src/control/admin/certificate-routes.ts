/** `/certificates`: what is served over TLS, for which names and until when. Keys are never shown. */

import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import type { AcmeState } from '../acme/acme.ts';
import type { AcmePlace } from '../acme/acme-place.ts';
import type { FailureRecord } from '../acme/acme-records.ts';
import type { Certificates } from '../certificates/certificates.ts';
import { type Group, groupsOf, servedUnder } from '../certificates/tls-snapshot.ts';
import type { Registry } from '../registry.ts';
import { certificates as certificatesForm } from './answers.ts';
import { etagOf } from './etag.ts';
import { answer } from './form.ts';
import type { Route } from './router.ts';

const DAY_MS = 24 * 3_600_000;

export interface CertificateRoutesOptions {
  readonly registry: Registry;
  readonly certificates: Certificates;
  readonly acme: AcmePlace;
}

export function certificateRoutes({
  registry,
  certificates,
  acme,
}: CertificateRoutesOptions): Route[] {
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
              certificates: viewsOf(registry),
              acme: acme.states().map(acmeView),
              faults: certificates.faults.map(({ file, message }) => ({ file, message })),
            },
            headers: { ETag: etagOf(registry) },
          }),
        },
      },
    },
  ];
}

/** The field names are an interface: see docs. */
function viewsOf({ settings, staples, issued }: Registry): object[] {
  return settings.listeners.flatMap(({ path, tls }) => {
    if (tls === undefined) return [];
    const served = servedUnder(tls, issued);
    const groups = groupsOf(served);
    return served.map((one) => ({
      listener: path,
      ...viewOf(one, groups),
      must_staple: one.facts.mustStaple,
      stapled: isStapled(one, groups, staples),
    }));
  });
}

/** Not where another one is served for the same names: see `buildTlsSnapshot`. */
function isStapled(
  one: Certificate,
  groups: readonly Group[],
  staples: Registry['staples'],
): boolean {
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

/** What is fetched, and how that goes. */
function acmeView(state: AcmeState): object {
  const { wanted, certificate, failure, isOrdering, renewAtMs, dueAtMs, explanation } = state;
  const { name, settings } = wanted;
  return {
    name,
    ca: settings.directoryUrl,
    challenge: settings.challenge,
    state: isOrdering ? 'ordering' : stateOf(certificate, failure),
    not_after: timeOf(certificate?.facts.notAfterMs),
    renew_at: timeOf(renewAtMs),
    renewal_explanation: explanation === '' ? null : explanation,
    next_try: failure === undefined ? null : timeOf(dueAtMs),
    failures: failure?.failures ?? 0,
    problem: failure === undefined ? null : problemView(failure),
  };
}

function stateOf(certificate: Certificate | undefined, failure: FailureRecord | undefined): string {
  if (failure !== undefined) return 'failing';
  return certificate === undefined ? 'awaited' : 'good';
}

function problemView({ atMs, kind, message, hint }: FailureRecord): object {
  return {
    time: timeOf(atMs),
    type: kind === '' ? null : kind,
    detail: message,
    hint: hint === '' ? null : hint,
  };
}

function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
