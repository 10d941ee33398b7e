import { CheckpointError, InputError } from "../errors.ts";
import type { GenerationConfig } from "../checkpoint/generation-config.ts";
import { IMAGE_PAD } from "../input/image-slots.ts";
import type { Tokenizer } from "../input/tokenizer.ts";

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
  /** What is read after a rationale, or after none: `<emb>`, or the closing prompt. The last one's state is pooled. */
  readonly closingIds: readonly number[];
}

/**
 * `<emb>` where the tokenizer has it and no closing prompt is asked for, else the end of the turn and a closing prompt.
 * @throws {CheckpointError} without `<emb>` and without any end-of-turn token
 * @throws {InputError} a closing prompt that is empty, or that holds an image's token
 */
export function endingOf(
  tokenizer: Tokenizer,
  generation: GenerationConfig,
  closingPrompt: string | undefined,
): Ending {
  const emb = tokenizer.tokenId(EMB);
  if (emb !== undefined && closingPrompt === undefined)
    return { mode: "emb", stopIds: new Set([emb]), closingIds: [emb] };
  const endOfTurn = tokenizer.tokenId(END_OF_TURN);
  const stopIds = new Set([...generation.eosTokenIds, ...(endOfTurn === undefined ? [] : [endOfTurn])]);
  if (stopIds.size === 0)
    throw new CheckpointError(
      `the tokenizer has neither ${EMB} nor ${END_OF_TURN}, and generation_config.json names no end`,
    );
  const closingIds = tokenizer.encodeTemplate(closingPrompt ?? DEFAULT_CLOSING_PROMPT);
  if (closingIds.length === 0) throw new InputError("closingPrompt is empty: there would be no token to pool");
  const imagePad = tokenizer.tokenId(IMAGE_PAD);
  if (closingIds.some((id) => id === imagePad))
    throw new InputError(`closingPrompt holds ${IMAGE_PAD}, and there is no image for it`);
  return { mode: "training-free", stopIds, closingIds };
}
