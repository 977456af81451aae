import { useState } from "react";
import { Home } from "./projects/Home";
import { ErrorBoundary } from "./shell/ErrorBoundary";
import { HelpSheet } from "./shell/HelpSheet";
import { useLive } from "./shell/live";
import { useRoute } from "./shell/route";
import { TokenDialog, TokenForm } from "./shell/TokenForm";
import { Workspace } from "./shell/Workspace";
import { useProject } from "./store/project";
import { useServer } from "./store/server";
import { Toasts, useShortcuts } from "./ui";

export function App() {
  const route = useRoute();
  const locked = useServer((state) => state.locked);
  const isOpen = useProject((state) => state.project !== null);
  const [help, setHelp] = useState(false);
  useLive();
  useShortcuts([{ keys: ["?", "F1"], label: "This help", group: "View", run: () => setHelp(true) }]);

  return (
    <ErrorBoundary>
      {locked && !isOpen ? (
        <TokenForm />
      ) : route.page === "project" ? (
        <Workspace key={route.id} id={route.id} onHelp={() => setHelp(true)} />
      ) : (
        <Home onHelp={() => setHelp(true)} />
      )}
      {locked && isOpen && <TokenDialog />}
      <HelpSheet open={help} onClose={() => setHelp(false)} />
      <Toasts />
    </ErrorBoundary>
  );
}
