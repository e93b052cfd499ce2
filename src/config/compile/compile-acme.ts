/** Certificates over ACME: from `acme` of a listener to its settings, and what does not go together in it. */
import path from 'node:path';
import type { AcmeSettings, ChallengeKind } from '../acme-settings.ts';
import { readAuthorities } from '../certificates/authorities-file.ts';
import type { MergedConfig } from '../merge.ts';
import type { Problem } from '../problem.ts';
import type { Path } from '../read/layer.ts';
import type { AcmeConfig } from '../schema/acme-schema.ts';

const STORE_NAME = 'fairlead.acme.json';
const OF_ONE_INSTANCE = ['store_file', 'store_key_file', 'store_key'] as const;

export interface AcmeReading {
  readonly placeOf: MergedConfig['placeOf'];
  readonly resolve: (text: string, keys: Path) => string;
  readonly problems: Problem[];
  /** Where the store is if nobody says so; undefined: nowhere. */
  readonly storeFolder: string | undefined;
  /** What is kept lies in the store of the cluster, sealed under its key. */
  readonly isInCluster: boolean;
  /** A listener speaks in the clear. */
  readonly hasPlainListener: boolean;
}

/** @param at where it stands in the config. */
export function compileAcme(config: AcmeConfig, at: Path, reading: AcmeReading): AcmeSettings {
  const { placeOf, resolve, problems, storeFolder } = reading;
  const report = (key: string | null, message: string, hint?: string): void => {
    const keys = key === null ? at : [...at, key];
    problems.push({
      ...placeOf(keys, key === null ? 'key' : 'value'),
      path: keys.join('.'),
      message,
      ...(hint !== undefined && { hint }),
    });
  };
  const resolved = (key: 'ca_file' | 'store_file' | 'store_key_file'): string => {
    const text = config[key];
    return text === undefined ? '' : resolve(text, [...at, key]);
  };
  const challenge = challengeOf(config, reading.hasPlainListener);
  if (challenge === 'dns-01' && config.dns_hook === undefined) {
    report('challenge', 'needs dns_hook, a command that makes the record');
  }
  if (challenge !== 'dns-01' && config.dns_hook !== undefined) {
    report('dns_hook', `is of dns-01, and challenge is ${challenge}`);
  }
  const { names = [], on_demand: onDemand } = config;
  if (names.length === 0 && onDemand === undefined) {
    report(null, 'needs names, or on_demand with the URL of who decides (ask)');
  }
  if (onDemand !== undefined && onDemand.ask === undefined) {
    const message = 'needs ask: whoever connects could have certificates ordered for any name';
    report(
      'on_demand',
      message,
      'set ask to the URL of who decides: http://127.0.0.1:8080/allowed',
    );
  }
  names.forEach((name, index) => {
    const refuse = (message: string): void => {
      const keys = [...at, 'names', index];
      problems.push({ ...placeOf(keys), path: keys.join('.'), message });
    };
    if (names.indexOf(name) < index) refuse(`${name} is there twice`);
    if (name.startsWith('*.') && challenge !== 'dns-01') {
      refuse(`${name} needs dns-01: authorities sign wildcards by a record in DNS only (dns_hook)`);
    }
  });
  const caFile = resolved('ca_file');
  if (caFile !== '') {
    const read = readAuthorities(caFile);
    if ('message' in read) report('ca_file', read.message);
  }
  const { isInCluster } = reading;
  if (isInCluster) {
    for (const key of OF_ONE_INSTANCE.filter((one) => config[one] !== undefined)) {
      const hint = 'take it out; cluster.key_file is the key';
      report(key, 'is for an instance that is alone: with cluster.etcd it is kept there', hint);
    }
  } else if (config.store_key !== undefined && config.store_key_file !== undefined) {
    report('store_key', 'must not stand beside store_key_file');
  } else if (config.store_file === undefined && storeFolder === undefined) {
    report(null, 'needs store_file: there is no config file for it to lie beside');
  }
  const { dns_hook: hook, external_account: external } = config;
  return {
    names,
    email: config.email ?? '',
    directoryUrl: config.ca,
    caFile,
    challenge,
    dnsHook:
      hook === undefined
        ? null
        : { command: hook.command, timeoutMs: hook.timeout, waitMs: hook.wait },
    onDemand:
      onDemand === undefined
        ? null
        : {
            askUrl: onDemand.ask ?? '',
            timeoutMs: onDemand.timeout,
            mostNames: onDemand.max_names,
            mostOrdersPerHour: onDemand.max_orders_per_hour,
          },
    externalAccount: external === undefined ? null : { keyId: external.key_id, key: external.key },
    store: isInCluster
      ? null
      : {
          file: resolved('store_file') || path.join(storeFolder ?? '', STORE_NAME),
          keyFile: resolved('store_key_file'),
          key: config.store_key ?? '',
        },
  };
}

function challengeOf({ challenge, dns_hook: hook }: AcmeConfig, hasPlain: boolean): ChallengeKind {
  if (challenge !== undefined) return challenge;
  if (hook !== undefined) return 'dns-01';
  return hasPlain ? 'http-01' : 'tls-alpn-01';
}
