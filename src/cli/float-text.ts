import { InputError } from "../errors.ts";

/** Digits that any float32 needs at most to be told from its neighbours. */
const MAX_DIGITS = 9;
/** Fewer digits come out of the first try by themselves, as trailing zeros; below, floats are too coarse for that. */
const FIRST_DIGITS = 6;
const SMALLEST_NORMAL = 2 ** -126;

/**
 * A float32 as JSON in the fewest digits that read back as the same float32: half of what the same number takes as a
 * double.
 * @throws {InputError} not finite, which JSON cannot say
 */
export function floatText(value: number): string {
  if (!Number.isFinite(value))
    throw new InputError(`the embedding has a number that is ${value}: the item drives the model out of its range`);
  if (Object.is(value, -0)) return "-0";
  for (let digits = Math.abs(value) < SMALLEST_NORMAL ? 1 : FIRST_DIGITS; digits < MAX_DIGITS; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return String(rounded);
  }
  return String(Number(value.toPrecision(MAX_DIGITS)));
}
