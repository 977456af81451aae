// Of a long list only the rows in sight are there: hundreds of them cost every frame while something is dragged.

import { type RefObject, useCallback, useState } from "react";
import { useSizes } from "../timeline/looking";

/** Shorter lists are there as a whole. */
const ALL = 60;
/** Rows beyond what is in sight, so that scrolling shows no gaps. */
const SPARE = 12;
/** Rows for as long as the height is not known. */
const AT_FIRST = 20;

export interface ListWindow {
  /** The rows from `first` up to, without, `last` are rendered. */
  readonly first: number;
  readonly last: number;
  /** Pixels of a row. */
  readonly row: number;
  readonly partial: boolean;
  onScroll(): void;
  /** Scrolls a row into sight. */
  reveal(index: number): void;
}

export function useListWindow(scroller: RefObject<HTMLElement | null>, count: number): ListWindow {
  const { row } = useSizes(0);
  const [seen, setSeen] = useState({ first: 0, last: AT_FIRST });
  const onScroll = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    const first = Math.floor(element.scrollTop / row);
    const last = Math.ceil((element.scrollTop + element.clientHeight) / row);
    setSeen((old) =>
      Math.abs(old.first - first) < SPARE / 2 && Math.abs(old.last - last) < SPARE / 2
        ? old
        : { first, last },
    );
  }, [scroller, row]);
  const reveal = useCallback(
    (index: number) => {
      const element = scroller.current;
      if (!element || index < 0) return;
      const top = index * row;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top + row > element.scrollTop + element.clientHeight)
        element.scrollTop = top + row - element.clientHeight;
    },
    [scroller, row],
  );
  const partial = count > ALL;
  const first = partial ? Math.max(0, Math.min(seen.first, count - 1) - SPARE) : 0;
  const last = partial ? Math.min(count, seen.last + SPARE) : count;
  return { first, last, row, partial, onScroll, reveal };
}
