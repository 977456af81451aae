// Files that a person drops, pastes or picks: photographs, and everything else, which may hold motion.

const PICTURES = /\.(png|jpe?g|webp|gif|bmp|tiff?|avif|ppm)$/i;

export const PICTURE_TYPES = "image/png,image/jpeg,image/webp,image/avif,image/bmp,image/tiff,image/gif";

export function isPicture(file: File): boolean {
  // A PNG that motionloom made holds its motion, but what is meant by dropping a picture is the picture.
  return (file.type.startsWith("image/") && file.type !== "image/svg+xml") || PICTURES.test(file.name);
}

/** Pictures and other files, in their order. */
export function sortFiles(files: Iterable<File>): { pictures: File[]; others: File[] } {
  const pictures: File[] = [];
  const others: File[] = [];
  for (const file of files) (isPicture(file) ? pictures : others).push(file);
  return { pictures, others };
}

/** Pictures in a clipboard, named by the time: the clipboard has no names. */
export function pastedPictures(data: DataTransfer | null): File[] {
  const pictures = [...(data?.files ?? [])].filter(isPicture);
  const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return pictures.map((file) =>
    /^image\.\w+$/.test(file.name)
      ? new File([file], `Pasted at ${time.replace(":", ".")}.${file.name.split(".").pop()}`, {
          type: file.type,
        })
      : file,
  );
}

/** "3.2 MB" */
export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** "just now", "12 min ago", "yesterday", or the date. */
export function agoText(iso: string, now = Date.now()): string {
  const time = Date.parse(iso);
  const minutes = Math.floor((now - time) / 60_000);
  if (!Number.isFinite(minutes)) return "";
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  if (minutes < 48 * 60) return "yesterday";
  return new Date(time).toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
}
