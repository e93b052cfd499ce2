/** A change that is for all instances is done when all of them run on it. */
import { NotEverywhere } from '../cluster-port.ts';
import type { Member, Members } from './members.ts';
import { SYSTEM_TIMING } from './timing.ts';

const EVERYWHERE_MS = 5_000;
const LOOK_AGAIN_MS = 50;

/** @param self runs on it already; of another process of that name nothing is known. @throws NotEverywhere */
export async function waitForAll(
  members: Pick<Members, 'list' | 'known' | 'isOn' | 'rivalry'>,
  self: string,
  revision: number,
  timing = SYSTEM_TIMING,
): Promise<void> {
  const until = timing.now() + EVERYWHERE_MS;
  for (;;) {
    // Who is gone is waited for until its lease is over, or the time is.
    const all = await members.list().catch((): readonly Member[] => members.known);
    const late = all
      .filter((one) => one.instance !== self && !members.isOn(one, revision))
      .map(({ instance }) => instance);
    if (members.rivalry !== undefined) late.push(`another ${self}`);
    if (late.length === 0) return;
    if (timing.now() > until) throw new NotEverywhere(revision, late);
    await new Promise<void>((resolve) => void timing.after(LOOK_AGAIN_MS, resolve));
  }
}
