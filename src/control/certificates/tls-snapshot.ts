/** From the certificates of a listener to what data threads serve: which of them are for which name. */

import { type AcmeSettings, issueKey, onDemandGroup } from '../../config/acme-settings.ts';
import type { Certificate } from '../../config/certificates/certificate-facts.ts';
import type { TlsSettings } from '../../config/settings.ts';
import type { TlsChallenge } from '../../snapshot/challenges.ts';
import type { CertificateGroup, TlsSnapshot } from '../../snapshot/tls.ts';

/** OCSP answers, by the fingerprint of the certificate that they are for. */
export type Staples = ReadonlyMap<string, Uint8Array>;

export const NO_STAPLES: Staples = new Map();

/** Certificates that were issued to us over ACME, by `issueKey`. */
export type Issued = ReadonlyMap<string, Certificate>;

export const NONE_ISSUED: Issued = new Map();

/** What is served beside what the settings say, and comes and goes by itself. */
export interface TlsExtras {
  readonly staples: Staples;
  readonly issued: Issued;
  readonly challenges: readonly TlsChallenge[];
}

/** What is served under these settings: what the config names comes first. */
export function servedUnder({ certificates, acme }: TlsSettings, issued: Issued): Certificate[] {
  return acme === null ? [...certificates] : [...certificates, ...issuedTo(acme, issued)];
}

function issuedTo(acme: AcmeSettings, issued: Issued): Certificate[] {
  const listed = acme.names.flatMap((name) => issued.get(issueKey(acme, name)) ?? []);
  if (acme.onDemand === null) return listed;
  const ofAuthority = issueKey(acme, '');
  const isListed = new Set(listed);
  const others = [...issued].filter(
    ([key, one]) => key.startsWith(ofAuthority) && !isListed.has(one),
  );
  return [...listed, ...others.map(([, one]) => one)];
}

/** Names of these settings that no certificate is for yet. */
function awaitedNames({ acme }: TlsSettings, served: readonly Certificate[]): string[] {
  if (acme === null) return [];
  const names = new Set(served.flatMap(({ facts }) => facts.names));
  return acme.names.filter((name) => !names.has(name) && !names.has(wildcardFor(name)));
}

/** RFC 6125 §6.4.3: one label. */
function wildcardFor(name: string): string {
  return `*${name.slice(name.indexOf('.'))}`;
}

export function buildTlsSnapshot(
  settings: TlsSettings,
  http2: boolean,
  { staples, issued, challenges }: TlsExtras,
): TlsSnapshot {
  const { refusesUnknownNames, clientCertificates, minVersion } = settings;
  const served = servedUnder(settings, issued);
  const { acme, certificates } = settings;
  const onDemand = acme && onDemandGroup(acme);
  const hasOwn = certificates.length > 0 || (acme !== null && acme.names.length > 0);
  return {
    groups: groupsOf(served).map((group) => groupSnapshot(group, staples)),
    // One that is there for a single name is nobody else's default.
    refusesUnknownNames: refusesUnknownNames || (onDemand !== null && !hasOwn),
    onDemand,
    awaitedNames: awaitedNames(settings, served),
    challenges,
    clientCertificates: clientCertificates && {
      mode: clientCertificates.mode,
      ca: clientCertificates.ca,
    },
    minVersion,
    http2,
  };
}

export interface Group {
  readonly names: readonly string[];
  readonly certificates: readonly Certificate[];
}

/**
 * For each name one certificate of each type of key: the first that is for it, but one that is not good at the time only where no other is.
 * Names that get the same certificates are a group. The first group is that of the first certificate: the default.
 */
export function groupsOf(certificates: readonly Certificate[], nowMs = Date.now()): Group[] {
  const [first] = certificates;
  if (first === undefined) return [];
  // In the order of the certificates: with a thousand of them, each is looked at for its own names only.
  const candidates = new Map<string, Certificate[]>();
  for (const one of certificates) {
    for (const name of one.facts.names) {
      const known = candidates.get(name);
      if (known === undefined) candidates.set(name, [one]);
      else known.push(one);
    }
  }
  const byName = new Map(
    Array.from(candidates, ([name, its]) => [name, chosenOf(its, nowMs)] as const),
  );
  // The default is the first certificate whatever its names, or what is served in its place, and those of other types beside it.
  const beside = byName.get(first.facts.names[0] ?? '') ?? [first];
  const isOfFirst = ({ facts }: Certificate): boolean => facts.keyType === first.facts.keyType;
  const ofDefault = [...beside.filter(isOfFirst), ...beside.filter((one) => !isOfFirst(one))];
  const groups = new Map<string, { names: string[]; certificates: readonly Certificate[] }>();
  groups.set(keyOf(ofDefault), { names: [], certificates: ofDefault });
  for (const [name, chosen] of byName) {
    const key = keyOf(chosen);
    const group = groups.get(key) ?? { names: [], certificates: chosen };
    group.names.push(name);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** @param certificates all for one name. */
function chosenOf(certificates: readonly Certificate[], nowMs: number): Certificate[] {
  const chosen = new Map<string, Certificate>();
  for (const one of certificates) {
    const { keyType } = one.facts;
    const known = chosen.get(keyType);
    const isBetter = known !== undefined && !isGood(known, nowMs) && isGood(one, nowMs);
    if (known === undefined || isBetter) chosen.set(keyType, one);
  }
  return [...chosen.values()];
}

function isGood({ facts }: Certificate, nowMs: number): boolean {
  return facts.notBeforeMs <= nowMs && nowMs < facts.notAfterMs;
}

function keyOf(certificates: readonly Certificate[]): string {
  return certificates
    .map(({ facts }) => facts.fingerprint)
    .toSorted()
    .join();
}

function groupSnapshot({ names, certificates }: Group, staples: Staples): CertificateGroup {
  const [only, ...others] = certificates;
  // Which of several is served is decided by OpenSSL, and an answer for another one would be worse than none.
  const staple =
    only === undefined || others.length > 0 ? undefined : staples.get(only.facts.fingerprint);
  return {
    names,
    pairs: certificates.map(({ cert, key }) => ({ cert, key })),
    staple: staple ?? null,
  };
}
