import { cleanup, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { ErrorBoundary } from "../../src/shell/ErrorBoundary";
import { parseRoute } from "../../src/shell/route";
import { project } from "../../src/store/project";

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

test("only an id of the right form is a project", () => {
  expect(parseRoute("#/project/0123456789abcdef")).toEqual({ page: "project", id: "0123456789abcdef" });
  for (const hash of ["", "#/", "#/project/", "#/project/../../etc", "#/project/0123456789ABCDEF"])
    expect(parseRoute(hash)).toEqual({ page: "home" });
});

function Broken(): never {
  throw new Error("a fault of the page's own");
}

test("a fault saves the motion and says how to go on", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const save = vi.fn(async () => {});
  project.setState({ save });
  render(
    <ErrorBoundary>
      <Broken />
    </ErrorBoundary>,
  );
  expect(save).toHaveBeenCalledTimes(1);
  await waitFor(() => expect(screen.getByText(/Your motion is saved/)).toBeTruthy());
  expect(screen.getByRole("button", { name: "Load again" })).toBeTruthy();
});

test("where it cannot be saved, it says where it is kept and offers a file", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  project.setState({
    save: async () => {
      throw new Error("offline");
    },
  });
  render(
    <ErrorBoundary>
      <Broken />
    </ErrorBoundary>,
  );
  await waitFor(() => expect(screen.getByText(/this browser keeps it/)).toBeTruthy());
  expect(screen.getByRole("button", { name: "Save the motion as a file" })).toBeTruthy();
});
