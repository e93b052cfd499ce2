/** A change that is for all instances is done when all of them run on it. */
import { NotEverywhere } from '../cluster-port.ts';
import type { Member, Members } from './members.ts';

const EVERYWHERE_MS = 5_000;
const LOOK_AGAIN_MS = 50;

/** @param self runs on it already. @throws NotEverywhere */
export async function waitForAll(members: Members, self: string, revision: number): Promise<void> {
  const until = performance.now() + EVERYWHERE_MS;
  for (;;) {
    // Who is gone is waited for until its lease is over, or the time is.
    const all = await members.list().catch((): readonly Member[] => members.known);
    const late = all.filter(({ instance, applied }) => instance !== self && applied < revision);
    if (late.length === 0) return;
    if (performance.now() > until) {
      const names = late.map(({ instance }) => instance);
      throw new NotEverywhere(revision, names);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
