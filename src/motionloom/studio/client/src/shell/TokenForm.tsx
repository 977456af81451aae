import "./notices.css";
import { type FormEvent, type ReactNode, useState } from "react";
import { ApiError, errorText } from "../api/client";
import { server } from "../store/server";
import { Button, Dialog, Mark, TextField } from "../ui";

/** A server that is open to the network asks who is there. */
export function TokenForm() {
  return (
    <main className="notice-page">
      <Question>
        <h1>
          <Mark /> motionloom studio
        </h1>
        <p className="muted">
          This studio is shared over the network and needs its token. The person who started it sees it in the
          terminal.
        </p>
      </Question>
    </main>
  );
}

/** Asked while a project is open, which stays as it is behind it. */
export function TokenDialog() {
  return (
    <Dialog
      title="The studio asks for its token again"
      open
      size="small"
      dismissible={false}
      onClose={() => {}}
    >
      <Question>
        <p className="muted">
          Your work stays open and is saved once the token is given. The person who started the studio sees it
          in the terminal.
        </p>
      </Question>
    </Dialog>
  );
}

function Question({ children }: { children: ReactNode }) {
  const [token, setToken] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!token.trim()) return setError("Paste the token first.");
    setBusy(true);
    try {
      await server.getState().signIn(token.trim());
    } catch (problem) {
      const isWrong = problem instanceof ApiError && (problem.status === 401 || problem.status === 403);
      setError(
        isWrong
          ? "This is not the server's token. It is in the address that was printed when the studio was started."
          : errorText(problem),
      );
      setBusy(false);
    }
  };
  return (
    <form className="token-form" onSubmit={submit}>
      {children}
      <TextField
        label="Token"
        type="password"
        autoComplete="current-password"
        autoFocus
        data-focus-first
        value={token}
        onChange={setToken}
        error={error}
      />
      <Button type="submit" variant="primary" size="large" busy={busy}>
        Open the studio
      </Button>
    </form>
  );
}
