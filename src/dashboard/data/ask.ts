/** Opens the question whether something is to be done, about the instance as it is shown now. */
import type { Deed } from './deeds.ts';
import { desk, live } from './session.ts';

export function ask(deed: Deed): void {
  desk.open.set({ deed, etag: live.look.now?.etag });
}
