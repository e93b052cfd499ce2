/** What errors of the control plane mean in HTTP. */

import { NotEverywhere, NotShared } from '../cluster-port.ts';
import { ChangeRefused, SaveFailed } from '../plan.ts';
import { ConfigRefused, RestartNeeded } from '../reload/reload.ts';
import { HandedOver } from '../upgrade/handover.ts';
import { UpgradeFailed, UpgradeRefused } from '../upgrade/upgrade.ts';
import { unknownPool } from './pool-routes.ts';
import { ProblemError } from './problem.ts';

export function explainError(error: unknown): ProblemError | undefined {
  if (error instanceof ChangeRefused) {
    if (error.reason === 'unknown-pool') return unknownPool(error.message);
    if (error.reason === 'id-not-free') {
      return new ProblemError(409, 'ERR_ID_NOT_FREE', error.message, {
        hint: 'without "id" it is added as a new backend',
      });
    }
    return error.reason === 'duplicate'
      ? new ProblemError(409, 'ERR_DUPLICATE_BACKEND', error.message, {
          hint: 'change it with PATCH /backends/{id}',
        })
      : new ProblemError(404, 'ERR_UNKNOWN_BACKEND', error.message, {
          hint: 'GET /backends lists them',
        });
  }
  if (error instanceof SaveFailed) {
    return new ProblemError(
      500,
      'ERR_STATE_NOT_SAVED',
      `The change was not made, because it could not be saved: ${error.message}`,
      {
        hint: 'state_file must be a path that Fairlead can write; with ?persist=false (--not-kept) the change is made, and not kept',
      },
    );
  }
  if (error instanceof NotShared) return notShared(error);
  if (error instanceof NotEverywhere) {
    const { message, revision, instances } = error;
    return new ProblemError(504, 'ERR_NOT_EVERYWHERE', message, {
      hint: 'GET /cluster shows how far each is',
      members: { revision, instances },
    });
  }
  if (error instanceof ConfigRefused) {
    return new ProblemError(422, 'ERR_BAD_CONFIG', error.message, {
      members: { problems: error.problems },
    });
  }
  if (error instanceof RestartNeeded) {
    return new ProblemError(409, 'ERR_RESTART_NEEDED', error.message, {
      members: { keys: error.keys },
    });
  }
  if (error instanceof UpgradeRefused) {
    return new ProblemError(409, 'ERR_UPGRADE_REFUSED', error.message);
  }
  if (error instanceof UpgradeFailed) {
    return new ProblemError(500, 'ERR_UPGRADE_FAILED', error.message, {
      hint: 'the log says more, that of the new process among it',
    });
  }
  if (error instanceof HandedOver) {
    return new ProblemError(503, 'ERR_HANDED_OVER', error.message, {
      hint: 'nothing was changed; the same call again reaches the new process',
      headers: { Connection: 'close' },
    });
  }
  return undefined;
}

const RETRY_AFTER_SECONDS = '2';

function notShared({ kind, message, writeId }: NotShared): ProblemError {
  const headers = { 'Retry-After': RETRY_AFTER_SECONDS };
  if (kind === 'unknown') {
    return new ProblemError(
      504,
      'ERR_OUTCOME_UNKNOWN',
      `It is not known whether the change was made: ${message}`,
      {
        hint: 'GET /cluster/writes/{write} tells, once the store is back',
        members: { write: writeId },
      },
    );
  }
  if (kind === 'partly') {
    return new ProblemError(
      504,
      'ERR_OUTCOME_UNKNOWN',
      `The change is not known to be made as a whole: ${message}`,
      {
        hint: 'GET /backends shows what is in force: ask for what is missing again; GET /cluster/writes/{write} tells whether all of it was made',
        members: { write: writeId },
      },
    );
  }
  if (kind === 'full') {
    return new ProblemError(507, 'ERR_STORE_FULL', `The change was not made: ${message}`, {
      hint: 'compact and defragment etcd, or raise its quota, then disarm its alarm (etcdctl alarm disarm); what is served is not touched',
    });
  }
  if (kind === 'busy') return new ProblemError(503, 'ERR_STORE_BUSY', message, { headers });
  return new ProblemError(503, 'ERR_STORE_UNAVAILABLE', `The change was not made. ${message}`, {
    hint: 'with ?persist=false (--not-kept) it is made at this instance alone',
    headers,
  });
}
