// Mask images of a motion (data URLs), decoded in the background and remembered.

/** `bits`: 1 inside, 0 outside; height * width, row after row. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  readonly bits: Uint8Array;
}

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** RGBA, 8 bits each. */
  readonly data: Uint8ClampedArray | Uint8Array;
}

export interface Masks {
  /** The mask; undefined while it is being decoded (`subscribe` tells when it is there); null: it cannot be read. */
  get(url: string): Mask | null | undefined;
  /** Decodes now what `get` would decode later. */
  load(url: string): Promise<Mask | null>;
  /** A mask that is known already, as just drawn. */
  put(url: string, mask: Mask): void;
  /** Calls back whenever a mask has arrived. */
  subscribe(listener: () => void): () => void;
  /** Grows whenever a mask has arrived. */
  readonly version: number;
}

export function createMasks(decode: (url: string) => Promise<Pixels> = decodeImage): Masks {
  const known = new Map<string, Mask | null>();
  const loading = new Map<string, Promise<Mask | null>>();
  const listeners = new Set<() => void>();
  let version = 0;

  function arrived(url: string, mask: Mask | null): void {
    known.set(url, mask);
    loading.delete(url);
    version += 1;
    for (const listener of [...listeners]) listener();
  }
  function load(url: string): Promise<Mask | null> {
    const ready = known.get(url);
    if (ready !== undefined) return Promise.resolve(ready);
    let running = loading.get(url);
    if (!running) {
      running = decode(url)
        .then(maskFromPixels, () => null)
        .then((mask) => {
          if (!known.has(url)) arrived(url, mask);
          return known.get(url) ?? null;
        });
      loading.set(url, running);
    }
    return running;
  }
  return {
    get(url) {
      if (!known.has(url)) void load(url);
      return known.get(url);
    },
    load,
    put: arrived,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get version() {
      return version;
    },
  };
}

/** The masks of this page. */
export const masks = createMasks();

/** The opaque part where there is transparency, else what is brighter than middle grey. */
export function maskFromPixels({ width, height, data }: Pixels): Mask {
  const bits = new Uint8Array(width * height);
  let transparent = false;
  for (let k = 3; k < data.length && !transparent; k += 4) transparent = (data[k] as number) < 255;
  for (let k = 0; k < bits.length; k += 1) {
    const red = data[4 * k] as number;
    const green = data[4 * k + 1] as number;
    const blue = data[4 * k + 2] as number;
    // Brightness after ITU-R 601 in the fixed point of Pillow, with which the server reads the same file.
    const value = transparent
      ? (data[4 * k + 3] as number)
      : (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16;
    bits[k] = value > 127 ? 1 : 0;
  }
  return { width, height, bits };
}

async function decodeImage(url: string): Promise<Pixels> {
  const match = /^data:([^,;]*);base64,(.*)$/s.exec(url);
  if (!match) throw new Error("expected a data URL");
  const bytes = Uint8Array.from(atob(match[2] as string), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: match[1] as string }));
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas to decode a mask with");
  context.drawImage(image, 0, 0);
  image.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
