/** Asks for a token. It is kept in this tab, and is gone with it. */
import { useState } from 'preact/hooks';
import { messageOf } from '../data/desk.ts';
import { logIn } from '../data/session.ts';

export function Login({ why }: { readonly why: string }) {
  const [trouble, setTrouble] = useState(why);
  const [isBusy, setBusy] = useState(false);

  async function enter(form: HTMLFormElement): Promise<void> {
    setBusy(true);
    try {
      await logIn(String(new FormData(form).get('token') ?? '').trim());
    } catch (error) {
      setTrouble(messageOf(error));
      setBusy(false);
    }
  }

  return (
    <main class="login">
      <h1>Fairlead</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void enter(event.currentTarget);
        }}
      >
        <label>
          Token
          <input type="password" name="token" required autocomplete="off" autofocus />
          <small>
            One of admin.tokens_file or admin.token; <code>fairlead token new NAME</code> makes one.
          </small>
        </label>
        <p class="trouble" role="alert">
          {trouble}
        </p>
        <button type="submit" class="main" disabled={isBusy}>
          Open
        </button>
      </form>
    </main>
  );
}
