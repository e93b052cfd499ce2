/** Who sits in front of the page, and all that it knows. */
import { CallFailed, get, keepToken, whenUnauthorized } from './calls.ts';
import { Desk } from './desk.ts';
import { Happenings } from './happenings.ts';
import { Live } from './live.ts';
import type { Whoami } from './shapes.ts';
import { Store } from './store.ts';

export type Session =
  | { readonly kind: 'starting'; readonly trouble: string }
  | { readonly kind: 'login'; readonly why: string }
  | { readonly kind: 'in'; readonly who: Whoami };

const RETRY_MS = 1000;

export const session = new Store<Session>({ kind: 'starting', trouble: '' });
export const live = new Live();
export const happenings = new Happenings();
export const desk = new Desk();

happenings.onNew = () => live.soon();
desk.onChange = (seen, left) => live.changed(seen, left);

/** Changes of the instance are for operators. */
export function mayChange(): boolean {
  return session.now.kind === 'in' && session.now.who.role === 'operator';
}

export async function begin(): Promise<void> {
  whenUnauthorized(askForToken);
  for (;;) {
    try {
      const who = await get<Whoami>('whoami');
      session.set({ kind: 'in', who });
      live.start();
      happenings.start();
      return;
    } catch (error) {
      if (error instanceof CallFailed && error.status === 401) return;
      session.set({ kind: 'starting', trouble: error instanceof Error ? error.message : '' });
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function askForToken(why: string): void {
  const { kind } = session.now;
  if (kind === 'login') return;
  live.stop();
  happenings.forget();
  keepToken('');
  session.set({ kind: 'login', why: kind === 'in' ? why : '' });
}

/** @throws CallFailed */
export async function logIn(token: string): Promise<void> {
  keepToken(token);
  try {
    const who = await get<Whoami>('whoami');
    session.set({ kind: 'in', who });
  } catch (error) {
    keepToken('');
    throw error;
  }
  live.start();
  happenings.start();
}

export function logOut(): void {
  askForToken('');
}
