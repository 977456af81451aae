// The editor of this page, for React.

import { useStore } from "zustand";
import { createEditor } from "./create";
import type { EditorState } from "./editor";

/** The one editor. Outside of components: `editor.getState()`, `editor.subscribe(...)`. */
export const editor = createEditor();

/** Part of the editor's state; the component renders again when that part changes. */
export function useEditor<T>(selector: (state: EditorState) => T): T {
  return useStore(editor, selector);
}
