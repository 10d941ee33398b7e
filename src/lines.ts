/** Cuts a stream of bytes into lines without ever holding more than one. */

/**
 * Longest line read, in bytes: room for a few photographs as `data:` URLs, or for more text than any context takes,
 * and a file without line breaks does not fill the memory.
 */
export const MAX_LINE_BYTES: number = 32 * 2 ** 20;

/** One line of a stream. */
export interface Line {
  /** From 1, blank lines counted. */
  readonly number: number;
  /** Without its line break; `undefined` for a line longer than the limit, whose bytes are dropped. */
  readonly bytes: Uint8Array | undefined;
  /** Offset of the byte after its line break. */
  readonly end: number;
  /** Whether a line break ends it; only the last line may lack one. */
  readonly isWhole: boolean;
}

const LINE_BREAK = 0x0a;
const BLANKS = new Set([0x20, 0x09, 0x0d]);

/** The lines of `stream`, blank ones included, what follows the last line break only if it is not empty. */
export async function* readLines(
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number = MAX_LINE_BYTES,
): AsyncGenerator<Line, void, void> {
  let number = 1;
  let end = 0;
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (part: Uint8Array): void => {
    length += part.length;
    end += part.length;
    if (length <= maxBytes) parts.push(part);
    else parts = [];
  };
  const finish = (isWhole: boolean): Line => {
    const bytes = length > maxBytes ? undefined : Buffer.concat(parts);
    const line = { number: number++, bytes, end, isWhole };
    parts = [];
    length = 0;
    return line;
  };
  for await (const chunk of stream) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_BREAK); at >= 0; at = chunk.indexOf(LINE_BREAK, from)) {
      take(chunk.subarray(from, at));
      end++;
      from = at + 1;
      yield finish(true);
    }
    if (from < chunk.length) take(chunk.subarray(from));
  }
  if (length > 0) yield finish(false);
}

/** How many lines of `stream` are not blank. */
export async function countLines(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const line of readLines(stream)) if (!isBlank(line)) count++;
  return count;
}

/** Whether a line holds nothing but spaces, tabs and carriage returns. */
export function isBlank({ bytes }: Line): boolean {
  return bytes !== undefined && bytes.every((byte) => BLANKS.has(byte));
}
