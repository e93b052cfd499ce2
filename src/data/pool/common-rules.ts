/**
 * What a snapshot says that holds for the requests of all pools. As long as it says the same it is the same object: then the view of a
 * pool that has not changed either is the same as well.
 */
import type { AccessLogRules } from '../../snapshot/access-log-rules.ts';
import type { PathRules, Snapshot } from '../../snapshot/snapshot.ts';
import type { TracingRules } from '../../snapshot/traced-exchange.ts';
import type { HeadLimits } from '../wire/head-parser.ts';

/** Of the heads of requests and of answers, the latter as strict as those or as old devices need them. */
export interface AllHeadLimits {
  readonly request: HeadLimits;
  readonly response: HeadLimits;
  readonly lenientResponse: HeadLimits;
}

export interface CommonRules {
  readonly limits: Snapshot['limits'];
  readonly headLimits: AllHeadLimits;
  readonly paths: PathRules;
  readonly accessLog: AccessLogRules;
  readonly tracing: TracingRules | null;
  readonly instances: number;
}

export function commonRules(snapshot: Snapshot, before: CommonRules | null): CommonRules {
  const { limits, paths, accessLog, tracing, instances } = snapshot;
  const isSame =
    before !== null &&
    before.limits === limits &&
    before.paths === paths &&
    before.accessLog === accessLog &&
    before.tracing === tracing &&
    before.instances === instances;
  if (isSame) return before;
  const headLimits = before?.limits === limits ? before.headLimits : headLimitsOf(limits);
  return { limits, headLimits, paths, accessLog, tracing, instances };
}

function headLimitsOf({ requestLineBytes, headBytes, fields }: Snapshot['limits']): AllHeadLimits {
  const strict = (): HeadLimits => ({ requestLineBytes, headBytes, fields, isLenient: false });
  return {
    request: strict(),
    response: strict(),
    lenientResponse: { ...strict(), isLenient: true },
  };
}
