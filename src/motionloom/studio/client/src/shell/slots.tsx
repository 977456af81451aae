// The editor's large parts, loaded when they are first shown.

import { type ComponentType, lazy, Suspense } from "react";

const parts = import.meta.glob<Record<string, ComponentType>>([
  "../canvas/{Stage,ToolBar}.tsx",
  "../timeline/Timeline.tsx",
  "../panels/{InstructionList,Inspector,ReceivedPanel,PreviewPlayer}.tsx",
]);

function slot(file: string, name: string): ComponentType {
  const load = parts[file];
  if (!load) return () => null;
  const Part = lazy(async () => ({ default: (await load())[name] ?? (() => null) }));
  return () => (
    <Suspense fallback={null}>
      <Part />
    </Suspense>
  );
}

export const Stage = slot("../canvas/Stage.tsx", "Stage");
export const ToolBar = slot("../canvas/ToolBar.tsx", "ToolBar");
export const Timeline = slot("../timeline/Timeline.tsx", "Timeline");
export const InstructionList = slot("../panels/InstructionList.tsx", "InstructionList");
export const Inspector = slot("../panels/Inspector.tsx", "Inspector");
export const ReceivedPanel = slot("../panels/ReceivedPanel.tsx", "ReceivedPanel");
export const PreviewPlayer = slot("../panels/PreviewPlayer.tsx", "PreviewPlayer");
