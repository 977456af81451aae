// The editor's large parts. They are loaded while the page begins, beside the project itself.

import { type ComponentType, lazy, Suspense } from "react";

function slot(load: () => Promise<ComponentType>): ComponentType {
  const loading = load();
  // Whoever shows it hears of the failure; here it would be nobody's.
  loading.catch(() => {});
  const Part = lazy(async () => ({ default: await loading }));
  return function Slot() {
    return (
      <Suspense fallback={null}>
        <Part />
      </Suspense>
    );
  };
}

export const Stage = slot(async () => (await import("../canvas/Stage")).Stage);
export const ToolBar = slot(async () => (await import("../canvas/ToolBar")).ToolBar);
export const Timeline = slot(async () => (await import("../timeline/Timeline")).Timeline);
export const InstructionList = slot(async () => (await import("../panels/InstructionList")).InstructionList);
export const Inspector = slot(async () => (await import("../panels/Inspector")).Inspector);
export const ReceivedPanel = slot(async () => (await import("../panels/ReceivedPanel")).ReceivedPanel);
export const PreviewPlayer = slot(async () => (await import("../panels/PreviewPlayer")).PreviewPlayer);
