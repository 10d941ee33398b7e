/** Texts of rows, and what is wrong with a row. */

/** What is wrong with a row. */
export class RowError extends Error {}

/** Longest text accepted, in characters; a context of 128,000 tokens has some 500,000. */
const MAX_TEXT_CHARS = 500_000;

/**
 * A field that is a string, or absent.
 * @throws {RowError} anything else, and a text that is too long
 */
export function textOf(field: string, value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw new RowError(`${field} is ${kindOf(value)}, expected a string`);
  if (value.length > MAX_TEXT_CHARS)
    throw new RowError(`${field} has ${value.length} characters, at most ${MAX_TEXT_CHARS} are taken`);
  return value;
}

function kindOf(value: unknown): string {
  return Array.isArray(value) ? "a list" : `of type ${typeof value}`;
}

/** One or several values as a list; an absent, null or empty one is an empty list. */
export function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return value === undefined || value === null || value === "" ? [] : [value];
}
