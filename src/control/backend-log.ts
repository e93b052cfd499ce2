/** What lines of the log say of a backend that is changed. */
import type { Logger } from '../observe/logger.ts';
import { beforeAndAfter, type Values } from './audit.ts';
import type { Backend } from './backend.ts';
import { ChangeRefused } from './plan.ts';

/** In the words of the admin API. */
export function wishesFor({ adminState: state, weight, isBackup: backup }: Backend): Values {
  return { state, weight, backup };
}

/** @param fate what else there is to say of the change. */
export function tellUpdated(log: Logger, backend: Backend, was: Values, fate: object): void {
  const { id, adminState, weight, isBackup } = backend;
  const { url } = backend.address;
  log.info(
    'backend.updated',
    `${url} is ${adminState}, weight ${weight}${isBackup ? ', a backup' : ''}`,
    {
      backend: url,
      id,
      ...wishesFor(backend),
      ...beforeAndAfter(was, wishesFor(backend)),
      ...fate,
    },
  );
}

export function tellLeaving(log: Logger, backend: Backend, was: Values, more: object): void {
  const { url } = backend.address;
  log.info('backend.draining', `${url} is draining before its removal`, {
    backend: url,
    id: backend.id,
    ...beforeAndAfter(was, wishesFor(backend)),
    ...more,
  });
}

export function tellDrained(log: Logger, { id, address: { url } }: Backend): void {
  const message = `${url} is drained: nothing is in flight there`;
  log.info('backend.drained', message, { backend: url, id });
}

export function tellRemoved(
  log: Logger,
  { id, address }: Backend,
  was: Values,
  fate: object,
): void {
  const { url } = address;
  log.info('backend.removed', `${url} removed`, { backend: url, id, before: was, ...fate });
}

/** Who had been told that it drains hears that this is over. */
export function tellGoneByReload(log: Logger, { id, address: { url } }: Backend): void {
  const message = `${url} was draining, and is removed by the config`;
  log.info('backend.removed', message, { backend: url, id, by: 'reload' });
}

export function tellGoneElsewhere(log: Logger, { id, address: { url } }: Backend): void {
  const message = `${url} was removed at another instance, or by an import`;
  log.info('backend.removed', message, { backend: url, id, by: 'cluster' });
}

export function removalFailed(log: Logger, backend: Backend, error: unknown): void {
  // Removed by somebody else meanwhile, or wanted back: either is what was asked for.
  if (error instanceof ChangeRefused) return;
  const { url } = backend.address;
  log.error('backend.removal_failed', `${url} could not be removed`, { backend: url, error });
}

/** @param fate whether it is kept, and who has added it. */
export function tellAdded(log: Logger, backend: Backend, fate: object): void {
  sayAdded(log, `${backend.address.url} added as backend ${backend.id}`, backend, fate);
}

export function tellAddedElsewhere(log: Logger, backend: Backend): void {
  const { id, address } = backend;
  const message = `${address.url} was added as backend ${id} at another instance, or by an import`;
  sayAdded(log, message, backend, { by: 'cluster' });
}

function sayAdded(log: Logger, message: string, backend: Backend, fate: object): void {
  const { id, weight, isBackup, adminState: state } = backend;
  const { url } = backend.address;
  log.info('backend.added', message, {
    backend: url,
    id,
    weight,
    backup: isBackup,
    ...(state !== 'enabled' && { state }),
    ...fate,
  });
}
