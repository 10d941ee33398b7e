/** Longest piece of a downloaded name or value that a message repeats, in characters. */
const MAX_QUOTED = 160;

/** `value` for use in a message: quoted, control characters escaped, cut to a length a terminal bears. */
export function quoted(value: unknown): string {
  const text = (JSON.stringify(value) ?? String(value)).replaceAll(/[\u007f-\u009f\u2028\u2029\u202a-\u202e]/g, "?");
  return text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}... (${text.length} characters)`;
}
