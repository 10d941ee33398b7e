/** Rows of a dataset as pairs of prompts with their pictures, ready for the decoder. */
import type { TrainRow, TrainSide } from "../dataset/train-rows.ts";
import { withBreak } from "../embed/line-break.ts";
import { prepareItem } from "../embed/prepare.ts";
import type { PromptSide, TrainingPair } from "./collate.ts";
import type { TrainingPrompts } from "./training-model.ts";

/** How texts and pictures are prepared. */
export interface PrepareSettings {
  readonly minPixels: number | null;
  readonly maxPixels: number | null;
  /** Ends texts in a line break where they have none. */
  readonly lineBreak: boolean;
  /** 0 prepares no targets and negatives: nothing reads them. */
  readonly embWeight: number;
}

/** A row that is ready, or what is wrong with it. */
export type PreparedRow = { readonly pair: TrainingPair } | { readonly place: string; readonly reason: string };

/**
 * Tokenises a row and decodes its pictures.
 * @throws {InputError} a picture that cannot be read, slots that do not match, a prompt longer than the model's context
 */
export async function preparePair(
  row: TrainRow,
  { prompts, ending }: TrainingPrompts,
  settings: PrepareSettings,
): Promise<TrainingPair> {
  const side = async ({ text, image }: TrainSide): Promise<PromptSide> => {
    const ended = settings.lineBreak ? withBreak(text) : text;
    const { prompt, images, promptTokens } = await prepareItem(prompts, ending, {
      text: ended,
      images: image === undefined ? [] : [image],
      minPixels: settings.minPixels ?? undefined,
      maxPixels: settings.maxPixels ?? undefined,
      minSide: undefined,
      rationale: undefined,
      reason: undefined,
    });
    return {
      // What is embedded directly ends in <emb>; here that is put after whatever follows the prompt.
      ids: prompt.ids.slice(0, promptTokens),
      positions: prompt.positions,
      imageSlots: prompt.imageSlots,
      images,
      key: JSON.stringify([ended, ...images.map(({ hash }) => hash)]),
    };
  };
  const hasEmbeddings = settings.embWeight > 0;
  return {
    place: row.place,
    query: await side(row.query),
    oracleIds: row.rationale === undefined ? undefined : prompts.tokenizer.encodePlain(row.rationale),
    target: hasEmbeddings ? await side(row.target) : undefined,
    negatives: hasEmbeddings ? await Promise.all(row.negatives.map(side)) : [],
  };
}
