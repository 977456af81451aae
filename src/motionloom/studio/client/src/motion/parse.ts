// Small readers for values of unknown type, whose errors name the place in the document.

/** A document that is not what it should be: where, what was found, what was expected. */
export class DocumentError extends Error {
  override name = "DocumentError";
}

export type Data = Readonly<Record<string, unknown>>;
export type Reader<T> = (value: unknown, place: string) => T;

export function refuse(place: string, found: unknown, expected: string): never {
  const text = found === undefined ? "nothing" : (JSON.stringify(found) ?? String(found));
  throw new DocumentError(
    `${place}: found ${text.length > 60 ? `${text.slice(0, 57)}...` : text}, expected ${expected}`,
  );
}

export const asNumber: Reader<number> = (value, place) =>
  typeof value === "number" && Number.isFinite(value) ? value : refuse(place, value, "a number");

export const asText: Reader<string> = (value, place) =>
  typeof value === "string" ? value : refuse(place, value, "text");

export const asFlag: Reader<boolean> = (value, place) =>
  typeof value === "boolean" ? value : refuse(place, value, "true or false");

export const asObject: Reader<Data> = (value, place) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Data)
    : refuse(place, value, "an object");

export function asOneOf<T extends string>(...names: readonly T[]): Reader<T> {
  return (value, place) =>
    names.includes(value as T) ? (value as T) : refuse(place, value, `one of ${names.join(", ")}`);
}

export function asList<T>(item: Reader<T>): Reader<readonly T[]> {
  return (value, place) =>
    Array.isArray(value)
      ? value.map((each, k) => item(each, `${place}[${k}]`))
      : refuse(place, value, "a list");
}

/** A field that may be missing or null, as the documents of the server have it. */
export function optional<T>(data: Data, name: string, read: Reader<T>, place: string): T | undefined {
  const value = data[name];
  return value === undefined || value === null ? undefined : read(value, place ? `${place}.${name}` : name);
}

export function needed<T>(data: Data, name: string, read: Reader<T>, place: string): T {
  return read(data[name], place ? `${place}.${name}` : name);
}

/** The same object without the fields that have no value. */
export function compact<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
