/** A model asked for a yes or a no: what it would say next, not what it writes. */
import { InputError } from "../errors.ts";
import type { Tokenizer } from "../input/tokenizer.ts";

const YES = ["yes", "Yes"];
const NO = ["no", "No"];

/** The tokens that a yes and a no begin with. */
export interface AnswerIds {
  readonly yes: readonly number[];
  readonly no: readonly number[];
}

/**
 * Of a tokenizer.
 * @throws {InputError} where a yes and a no begin with the same token
 */
export function answerIdsOf(tokenizer: Tokenizer): AnswerIds {
  const first = (words: readonly string[]): number[] => [
    ...new Set(words.map((word) => tokenizer.encodePlain(word)[0]!)),
  ];
  const ids = { yes: first(YES), no: first(NO) };
  if (ids.yes.some((id) => ids.no.includes(id)))
    throw new InputError("this model's tokenizer does not tell a yes from a no by the first token: it cannot judge");
  return ids;
}

/**
 * Chance of yes among yes and no, from the logits of the next token.
 * @param logits `[vocab]`
 */
export function chanceOfYes(logits: Float32Array, { yes, no }: AnswerIds): number {
  const most = Math.max(...[...yes, ...no].map((id) => logits[id]!));
  const weigh = (ids: readonly number[]): number => ids.reduce((sum, id) => sum + Math.exp(logits[id]! - most), 0);
  return weigh(yes) / (weigh(yes) + weigh(no));
}
