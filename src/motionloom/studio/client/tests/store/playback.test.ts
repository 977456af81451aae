import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createEditor, type Editor } from "../../src/store/create";
import { advance, followPlayhead, startPlayback, timeInVideo } from "../../src/store/playback";

const MOTION = { num_frames: 49, fps: 16 };

describe("advance", () => {
  it("moves at the motion's speed", () => {
    expect(advance(10, 500, MOTION, false)).toEqual({ frame: 18, ended: false });
  });
  it("shows the last frame as long as every other, then ends or begins anew", () => {
    expect(advance(48, 50, MOTION, false)).toEqual({ frame: 48.8, ended: false });
    expect(advance(48, 100, MOTION, false)).toEqual({ frame: 48, ended: true });
    expect(advance(48, 100, MOTION, true).frame).toBeCloseTo(0.6);
  });
  it("comes out right after a tab slept for a minute", () => {
    expect(advance(0, 60_000, MOTION, true).frame).toBeCloseTo(960 % 49);
  });
});

describe("the clock", () => {
  let editor: Editor;
  let stop: () => void;
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ["requestAnimationFrame", "cancelAnimationFrame", "performance", "setTimeout"],
    });
    editor = createEditor();
    stop = startPlayback(editor);
  });
  afterEach(() => {
    stop();
    vi.useRealTimers();
  });

  it("plays a second of frames in a second, whatever the screen's rate", () => {
    editor.getState().setPlaying(true);
    vi.advanceTimersByTime(1000);
    expect(editor.getState().playhead).toBeGreaterThan(15.5);
    expect(editor.getState().playhead).toBeLessThan(16.5);
  });

  it("stands on a whole frame when it stops", () => {
    editor.getState().setPlaying(true);
    vi.advanceTimersByTime(515);
    editor.getState().setPlaying(false);
    const { playhead } = editor.getState();
    expect(Number.isInteger(playhead)).toBe(true);
    vi.advanceTimersByTime(500);
    expect(editor.getState().playhead).toBe(playhead);
  });

  it("goes on from where somebody put the playhead", () => {
    editor.getState().setPlaying(true);
    vi.advanceTimersByTime(200);
    editor.getState().setPlayhead(40);
    vi.advanceTimersByTime(100);
    expect(editor.getState().playhead).toBeGreaterThan(40);
    expect(editor.getState().playhead).toBeLessThan(43);
  });

  it("without a loop stops at the end, and begins at the start when played again there", () => {
    editor.getState().setLooping(false);
    editor.getState().setPlaying(true);
    vi.advanceTimersByTime(3300);
    expect(editor.getState().playing).toBe(false);
    expect(editor.getState().playhead).toBe(48);
    editor.getState().setPlaying(true);
    vi.advanceTimersByTime(100);
    expect(editor.getState().playhead).toBeLessThan(3);
  });
});

describe("a video", () => {
  it("shows the middle of the frame at the playhead", () => {
    // 49 frames at 16 fps.
    expect(timeInVideo(0, 49, 49, 49 / 16)).toBeCloseTo(0.5 / 16);
    expect(timeInVideo(48, 49, 49, 49 / 16)).toBeCloseTo(48.5 / 16);
    expect(timeInVideo(12.9, 49, 49, 49 / 16)).toBeCloseTo(12.5 / 16);
    // 161 frames of a motion reduced to 81: every second one.
    expect(timeInVideo(80, 161, 81, 81 / 8)).toBeCloseTo(40.5 / 8);
    expect(timeInVideo(0, 1, 1, 0.1)).toBeCloseTo(0.05);
  });

  it("follows the playhead, and waits for a seek that is under way", () => {
    const editor = createEditor();
    const video = document.createElement("video");
    let seeks = 0;
    let at = 0;
    let seeking = false;
    Object.defineProperties(video, {
      duration: { value: 49 / 16 },
      paused: { value: true },
      seeking: { get: () => seeking },
      currentTime: {
        get: () => at,
        set: (time: number) => {
          seeks += 1;
          at = time;
          seeking = true;
        },
      },
      pause: { value: () => {} },
    });
    const end = followPlayhead(video, editor);
    expect(at).toBeCloseTo(0.5 / 16);
    editor.getState().setPlayhead(20);
    editor.getState().setPlayhead(30);
    expect(seeks).toBe(1);
    seeking = false;
    video.dispatchEvent(new Event("seeked"));
    expect(at).toBeCloseTo(30.5 / 16);
    expect(seeks).toBe(2);
    end();
    seeking = false;
    editor.getState().setPlayhead(3);
    expect(seeks).toBe(2);
  });
});
