import { toast } from "./toast";

/** Puts text on the clipboard and says so; also where the page is not served securely and has no clipboard of its own. */
export async function copyText(text: string, what = "Copied."): Promise<void> {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else if (!copyBySelection(text)) throw new Error("not allowed");
    toast(what, { kind: "good", key: "copied" });
  } catch {
    toast("The browser did not let the studio copy; select the text instead.", {
      kind: "warn",
      key: "copied",
    });
  }
}

function copyBySelection(text: string): boolean {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  // In a modal dialog nothing outside of it can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}
