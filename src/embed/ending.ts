import { CheckpointError } from "../errors.ts";
import type { GenerationConfig } from "../checkpoint/generation-config.ts";
import type { TextPiece, Tokenizer } from "../input/tokenizer.ts";

/** The token whose hidden state is the embedding. */
const EMB = "<emb>";
const END_OF_TURN = "<|im_end|>";

/**
 * What follows the rationale in training-free mode. One word to come is what its last state then has to hold
 * (Jiang et al. 2023, arXiv:2307.16645, for text models).
 */
export const DEFAULT_CLOSING_PROMPT = "\nIn one word:";

/** How rationales end and what is put after them before the state is pooled. */
export interface Ending {
  readonly mode: "emb" | "training-free";
  /** Ids that end a rationale. */
  readonly stopIds: ReadonlySet<number>;
  /** What stands after a rationale that is known, or after none: its last token is pooled. */
  readonly closing: readonly TextPiece[];
  /** Ids to feed after the rationale's last token; empty where the stop token itself is pooled. */
  readonly closingIds: readonly number[];
}

/**
 * `<emb>` where the tokenizer has it and no closing prompt is asked for, else the end of the turn and a closing prompt.
 * @throws {CheckpointError} without `<emb>` and without any end-of-turn token
 */
export function endingOf(
  tokenizer: Tokenizer,
  generation: GenerationConfig,
  closingPrompt: string | undefined,
): Ending {
  const emb = tokenizer.tokenId(EMB);
  if (emb !== undefined && closingPrompt === undefined)
    return { mode: "emb", stopIds: new Set([emb]), closing: [{ special: EMB }], closingIds: [] };
  const endOfTurn = tokenizer.tokenId(END_OF_TURN);
  const stopIds = new Set([...generation.eosTokenIds, ...(endOfTurn === undefined ? [] : [endOfTurn])]);
  if (stopIds.size === 0)
    throw new CheckpointError(
      `the tokenizer has neither ${EMB} nor ${END_OF_TURN}, and generation_config.json names no end`,
    );
  const closing = tokenizer.splitTemplate(closingPrompt ?? DEFAULT_CLOSING_PROMPT);
  const closingIds = tokenizer.encodePieces(closing);
  if (closingIds.length === 0) throw new CheckpointError("closingPrompt is empty: there would be no token to pool");
  return { mode: "training-free", stopIds, closing, closingIds };
}

/** The id of `<emb>`, to be put after a rationale that ran out of tokens; `undefined` in training-free mode. */
export function forcedIds({ mode, stopIds, closingIds }: Ending): readonly number[] {
  return mode === "emb" ? [...stopIds] : closingIds;
}
