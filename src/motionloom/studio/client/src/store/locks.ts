// Which instructions are locked, remembered in this browser for each project.

const PREFIX = "motionloom.locked.";

export function readLocks(project: string): ReadonlySet<string> {
  try {
    const ids: unknown = JSON.parse(localStorage.getItem(PREFIX + project) ?? "[]");
    return new Set(Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : []);
  } catch {
    return new Set(); // No storage, or not ours: nothing is locked.
  }
}

export function writeLocks(project: string, ids: ReadonlySet<string>): void {
  try {
    if (ids.size) localStorage.setItem(PREFIX + project, JSON.stringify([...ids]));
    else localStorage.removeItem(PREFIX + project);
  } catch {
    // A full or forbidden storage: the locks hold until the page is closed.
  }
}
