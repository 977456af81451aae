import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { api } from "../../src/api/client";
import type { Trash } from "../../src/api/types";
import { TrashDialog } from "../../src/projects/TrashDialog";

const thing = (id: string, name: string, restorable = true) => ({
  id,
  name,
  deleted: "2026-01-01T00:00:00Z",
  bytes: 2_000_000,
  restorable,
});
let trash: Trash;
const onChange = vi.fn();

beforeEach(() => {
  // jsdom knows no modal dialogs.
  HTMLDialogElement.prototype.showModal ??= function show(this: HTMLDialogElement) {
    this.open = true;
  };
  HTMLDialogElement.prototype.close ??= function close(this: HTMLDialogElement) {
    this.open = false;
  };
  trash = {
    projects: [thing("a", "Rocket"), thing("b", "Cat", false)],
    results: [thing("c", "Cup, nano")],
    bytes: 6e6,
  };
  vi.spyOn(api, "trash").mockImplementation(async () => trash);
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
  onChange.mockReset();
});

test("lists what was deleted and brings it back", async () => {
  const restore = vi.spyOn(api, "restoreProject").mockImplementation(async () => {
    trash = { ...trash, projects: trash.projects.slice(1) };
    return {} as never;
  });
  render(<TrashDialog onChange={onChange} onClose={() => {}} />);
  const projects = await screen.findByRole("region", { name: "Projects", hidden: true });
  // An earlier copy of a project has no way back of its own.
  expect(within(projects).getAllByRole("button", { hidden: true })).toHaveLength(1);
  fireEvent.click(screen.getByLabelText("Bring back Rocket"));
  await waitFor(() => expect(screen.queryByText("Rocket")).toBeNull());
  expect(restore).toHaveBeenCalledWith("a");
  expect(onChange).toHaveBeenCalledOnce();
});

test("asks before it deletes for good", async () => {
  const empty = vi.spyOn(api, "emptyTrash").mockImplementation(async () => {
    trash = { projects: [], results: [], bytes: 0 };
  });
  render(<TrashDialog onChange={onChange} onClose={() => {}} />);
  fireEvent.click(await screen.findByText(/Empty the trash \(/));
  expect(screen.getByText(/cannot be undone/)).toBeTruthy();
  fireEvent.click(screen.getByText("Keep everything"));
  expect(empty).not.toHaveBeenCalled();
  fireEvent.click(screen.getByText(/Empty the trash \(/));
  fireEvent.click(screen.getByText("Delete for good"));
  expect(await screen.findByText(/Nothing here/)).toBeTruthy();
  expect(empty).toHaveBeenCalledOnce();
});

test("says what stands in the way, and keeps the list", async () => {
  vi.spyOn(api, "restoreResult").mockRejectedValue(new Error("There is no result c"));
  render(<TrashDialog onChange={onChange} onClose={() => {}} />);
  fireEvent.click(await screen.findByLabelText("Bring back Cup, nano"));
  expect(await screen.findByText(/There is no result c|went wrong/)).toBeTruthy();
  expect(screen.getByText("Cup, nano")).toBeTruthy();
  expect(onChange).not.toHaveBeenCalled();
});
