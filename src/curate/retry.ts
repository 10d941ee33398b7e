/** How long to wait before a request is tried again. */
import type { Random } from "../random.ts";

/** Wait before the first retry, in milliseconds; it doubles with each. */
const FIRST_DELAY_MS = 500;
/** Longest wait that is our own choice, in milliseconds. */
const MAX_DELAY_MS = 30_000;
/** Longest wait that a server may ask for, in milliseconds: beyond it, it is in effect away. */
const MAX_ASKED_MS = 600_000;

/**
 * Exponential back-off between half and the whole of its step, so that requests refused together do not return
 * together; never less than the server asked for.
 * @param failures tries that have failed, from 1
 * @param askedMs what `Retry-After` says
 */
export function retryDelayMs(failures: number, askedMs: number | undefined, random: Random): number {
  const step = Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), MAX_DELAY_MS);
  const own = step * (0.5 + random() / 2);
  return Math.max(own, Math.min(askedMs ?? 0, MAX_ASKED_MS));
}

/** Milliseconds from `nowMs` on that a `Retry-After` header asks for: seconds or a date; `undefined` for anything else. */
export function readRetryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+(\.\d+)?\s*$/.test(header)) return Number(header) * 1000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}
