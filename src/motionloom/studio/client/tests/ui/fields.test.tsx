import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { Dialog, Menu, NumberField, Tabs, Toasts, toast } from "../../src/ui";

afterEach(cleanup);

function Steps(props: { onChange(value: number): void; onClear?(): void; digits?: number }) {
  const [value, setValue] = useState<number | null>(5);
  return (
    <NumberField
      label="Steps"
      value={value}
      min={0}
      max={40}
      {...props}
      onChange={(to) => {
        setValue(to);
        props.onChange(to);
      }}
    />
  );
}

test("a number takes effect on Enter and on leaving, within its limits; Escape brings back what it was", () => {
  const onChange = vi.fn();
  render(<Steps onChange={onChange} />);
  const field = screen.getByLabelText<HTMLInputElement>("Steps");
  fireEvent.change(field, { target: { value: "12,5" } });
  expect(onChange).not.toHaveBeenCalled();
  fireEvent.keyDown(field, { key: "Enter" });
  expect(onChange).toHaveBeenLastCalledWith(12.5);
  fireEvent.change(field, { target: { value: "900" } });
  fireEvent.blur(field);
  expect(onChange).toHaveBeenLastCalledWith(40);
  fireEvent.change(field, { target: { value: "3" } });
  fireEvent.keyDown(field, { key: "Escape" });
  fireEvent.blur(field);
  expect(onChange).toHaveBeenCalledTimes(2);
  expect(field.value).toBe("40");
});

test("arrows step at once, Shift ten times as far", () => {
  const onChange = vi.fn();
  render(<Steps onChange={onChange} />);
  const field = screen.getByLabelText("Steps");
  fireEvent.keyDown(field, { key: "ArrowUp" });
  fireEvent.keyDown(field, { key: "ArrowUp", shiftKey: true });
  fireEvent.keyDown(field, { key: "ArrowDown" });
  expect(onChange.mock.calls.map((call) => call[0])).toEqual([6, 16, 15]);
});

test("what is no number is said and changes nothing; empty clears where that means something", () => {
  const onChange = vi.fn();
  const onClear = vi.fn();
  render(<Steps onChange={onChange} onClear={onClear} />);
  const field = screen.getByLabelText("Steps");
  fireEvent.change(field, { target: { value: "many" } });
  fireEvent.keyDown(field, { key: "Enter" });
  expect(screen.getByRole("alert").textContent).toContain("many");
  expect(onChange).not.toHaveBeenCalled();
  fireEvent.change(field, { target: { value: "" } });
  fireEvent.blur(field);
  expect(onClear).toHaveBeenCalledTimes(1);
});

test("a menu opens by keyboard, goes round, runs and gives the focus back", () => {
  const run = vi.fn();
  render(
    <Menu
      label="More"
      entries={[
        { label: "Rename", run },
        { label: "Delete", run: vi.fn() },
      ]}
    />,
  );
  const button = screen.getByRole("button", { name: "More" });
  fireEvent.click(button);
  const items = screen.getAllByRole("menuitem");
  expect(document.activeElement).toBe(items[0]);
  fireEvent.keyDown(items[0] as HTMLElement, { key: "ArrowUp" });
  expect(document.activeElement).toBe(items[1]);
  fireEvent.keyDown(items[1] as HTMLElement, { key: "r" });
  expect(document.activeElement).toBe(items[0]);
  fireEvent.click(items[0] as HTMLElement);
  expect(run).toHaveBeenCalledTimes(1);
  expect(screen.queryByRole("menu")).toBeNull();
  expect(document.activeElement).toBe(button);
});

test("tabs follow the arrow keys and show one panel", () => {
  function Two() {
    const [selected, setSelected] = useState<"a" | "b">("a");
    return (
      <Tabs
        label="Panel"
        selected={selected}
        onSelect={setSelected}
        tabs={[
          { name: "a", label: "Motion", content: "first" },
          { name: "b", label: "Generate", badge: 2, content: "second" },
        ]}
      />
    );
  }
  render(<Two />);
  fireEvent.keyDown(screen.getByRole("tab", { name: "Motion" }), { key: "ArrowRight" });
  expect(screen.getByRole("tab", { name: "Generate" }).getAttribute("aria-selected")).toBe("true");
  expect(screen.getByRole("tabpanel").textContent).toBe("second");
});

test("keys typed in a dialog do not reach the page", () => {
  const outside = vi.fn();
  window.addEventListener("keydown", outside);
  render(
    <Dialog title="Export" open onClose={() => {}}>
      <input aria-label="Name" />
    </Dialog>,
  );
  expect(screen.getByRole("dialog", { name: "Export" })).toBeTruthy();
  fireEvent.keyDown(screen.getByLabelText("Name"), { key: "Delete" });
  window.removeEventListener("keydown", outside);
  expect(outside).not.toHaveBeenCalled();
});

test("a toast has its action and goes when it is used", async () => {
  const undo = vi.fn();
  render(<Toasts />);
  toast("In the trash.", { action: { label: "Undo", run: undo } });
  fireEvent.click(await screen.findByRole("button", { name: "Undo" }));
  expect(undo).toHaveBeenCalledTimes(1);
  expect(screen.queryByText("In the trash.")).toBeNull();
});

test("over a dialog a toast is inside of it, where it can be seen and used", async () => {
  render(<Toasts />);
  const shown = render(
    <Dialog title="Result" open onClose={() => {}}>
      text
    </Dialog>,
  );
  toast("Making the file…");
  const message = await screen.findByText("Making the file…");
  expect(screen.getByRole("dialog").contains(message)).toBe(true);
  shown.unmount();
  expect(screen.getByText("Making the file…").closest("dialog")).toBeNull();
});
