/** What errors of the control plane mean in HTTP. */

import { SaveFailed } from '../operator.ts';
import { ChangeRefused } from '../plan.ts';
import { ConfigRefused, RestartNeeded } from '../reload.ts';
import { HandedOver } from '../upgrade/handover.ts';
import { UpgradeFailed, UpgradeRefused } from '../upgrade/upgrade.ts';
import { unknownPool } from './pool-routes.ts';
import { ProblemError } from './problem.ts';

export function explainError(error: unknown): ProblemError | undefined {
  if (error instanceof ChangeRefused) {
    if (error.reason === 'unknown-pool') return unknownPool(error.message);
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
