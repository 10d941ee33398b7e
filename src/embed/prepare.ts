import { InputError } from "../errors.ts";
import { labelOf } from "../input/image-source.ts";
import { buildPrompt } from "../input/prompt.ts";
import type { PreparedImage } from "../input/image-processor.ts";
import { ropePositions } from "../models/index.ts";
import type { CheckedItem } from "./check-item.ts";
import type { Ending } from "./ending.ts";
import { answerIdsOf, type AnswerIds } from "./judge.ts";
import type { OpenModel } from "./model.ts";
import type { DecoderPrompt } from "./language-model.ts";

/** What prompts are made with. */
export type PromptModel = Pick<OpenModel, "tokenizer" | "template" | "config" | "tower" | "images">;

/** An item made ready for the model, but for its image features. */
export interface PreparedItem {
  readonly prompt: Omit<DecoderPrompt, "features">;
  /** In the order of their tokens. */
  readonly images: readonly PreparedImage[];
  /** Tokens before whatever the model writes or was given to read. */
  readonly promptTokens: number;
  /** Ids of a rationale that was given. */
  readonly givenIds: readonly number[];
  /** What is compared of an item that is to be judged. */
  readonly answers?: AnswerIds | undefined;
}

/**
 * Decodes images, renders the template and tokenises.
 * @throws {InputError} slots that do not match the images, an unreadable image, a prompt longer than the model's context
 */
export async function prepareItem(model: PromptModel, ending: Ending, item: CheckedItem): Promise<PreparedItem> {
  const { tokenizer, template, config, tower } = model;
  const answers = item.judge === true ? answerIdsOf(tokenizer) : undefined;
  const { minPixels, maxPixels, minSide } = item;
  const images: PreparedImage[] = [];
  for (const [i, source] of item.images.entries()) {
    const label = typeof source === "string" ? labelOf(source) : `image ${i + 1} of the item`;
    images.push(await model.images.prepare(source, { minPixels, maxPixels, minSide, label }));
  }
  const parts = { tokenizer, template, content: item.text, imageTokenCounts: images.map(({ tokens }) => tokens) };
  const { inputIds: promptIds, imageSpans } = buildPrompt(parts);
  const given = item.rationale === undefined ? [] : tokenizer.encodePlain(item.rationale);
  const writes = isWriting(item);
  const closing = answers ? [] : ending.closingIds;
  const following = (writes ? item.reason!.maxNewTokens : given.length) + closing.length;
  const most = config.text.maxPositions - following;
  if (most < 1)
    throw new InputError(
      `a rationale of ${following} tokens leaves no room for a prompt: the model takes ${config.text.maxPositions} in all. Lower maxNewTokens.`,
    );
  if (promptIds.length > most)
    throw new InputError(
      `the prompt has ${promptIds.length} tokens, ${promptIds.length - item.text.length > most ? "most of them of images, " : ""}and the model takes ${most} beside the ${following} that follow. Lower maxPixels or shorten the text.`,
    );
  // The ids are joined, not the texts: a merge across the seam would give other ids than the model itself writes.
  const inputIds = writes ? promptIds : [...promptIds, ...given, ...closing];
  const ordered = imageSpans.map(({ image }) => images[image]!);
  const positions = ropePositions(
    inputIds,
    config.imageTokenId,
    ordered.map(({ grid }) => grid),
    tower.merge,
  );
  return {
    prompt: {
      ids: inputIds,
      positions,
      imageSlots: imageSpans.flatMap(({ start, length }) => Array.from({ length }, (_, i) => start + i)),
    },
    images: ordered,
    promptTokens: promptIds.length,
    answers,
    givenIds: item.rationale !== undefined && ending.mode === "emb" ? [...given, ...ending.closingIds] : given,
  };
}

/** Whether the model has to write: the item reasons, and no rationale is given. */
export function isWriting({ reason, rationale }: Pick<CheckedItem, "reason" | "rationale">): boolean {
  return reason !== undefined && rationale === undefined;
}
