/** Our certificates, towards clients and backends, on the metrics page. */
import type { Page } from './metrics-page.ts';

export interface CertificateMetrics {
  readonly own: readonly {
    /** The first host name that it is for, or else its subject. */
    readonly name: string;
    readonly file: string;
    readonly notAfterSeconds: number;
  }[];
  /** Files that are not what they should be now. */
  readonly broken: number;
  readonly taken: number;
  readonly refused: number;
  /** Of those that are fetched. */
  readonly acme: {
    readonly issued: number;
    readonly failed: number;
    /** Names that have none yet. */
    readonly awaited: number;
    /** Names whose last order has failed. */
    readonly failing: number;
    /** What was said of names that clients have asked for. */
    readonly asks: Readonly<Record<'allowed' | 'refused' | 'failed' | 'dropped', number>>;
  };
}

export function writeCertificates(page: Page, metrics: CertificateMetrics): void {
  page.family(
    'fairlead_certificate_expiry_timestamp_seconds',
    'gauge',
    'When a certificate ends that clients are served with, or backends are shown.',
  );
  for (const { name, file, notAfterSeconds } of metrics.own) {
    page.sample({ name, file }, notAfterSeconds);
  }
  page.single(
    'fairlead_certificate_files_broken',
    'gauge',
    'Files of certificates, keys and authorities that can not be used as they are now: what was read before is in force, if anything was.',
    metrics.broken,
  );
  page.family(
    'fairlead_certificate_reloads_total',
    'counter',
    'Changed files of certificates, by what became of them.',
  );
  page.sample({ result: 'success' }, metrics.taken);
  page.sample({ result: 'failure' }, metrics.refused);
  const { issued, failed, awaited, failing, asks } = metrics.acme;
  page.family(
    'fairlead_acme_orders_total',
    'counter',
    'Certificates that this instance has ordered over ACME, by what became of that.',
  );
  page.sample({ result: 'success' }, issued);
  page.sample({ result: 'failure' }, failed);
  page.single(
    'fairlead_acme_names_awaited',
    'gauge',
    'Names whose certificate is still to come: clients that ask for them are refused.',
    awaited,
  );
  page.single(
    'fairlead_acme_names_failing',
    'gauge',
    'Names whose last order has failed.',
    failing,
  );
  page.family(
    'fairlead_acme_asks_total',
    'counter',
    'Names that certificates were asked for on demand, by what became of that.',
  );
  for (const [result, count] of Object.entries(asks)) page.sample({ result }, count);
}
