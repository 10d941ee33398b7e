/** What callers say and hear: items, options, results. */
import type { ImageSource } from "../input/image-source.ts";

export type { ImageSource } from "../input/image-source.ts";

/** How weights are held: as they are, in eight bits, or in four where that is faster. */
export type WeightFormat = "fp32" | "int8" | "int4";

/** How a rationale is written. */
export interface ReasonOptions {
  /** Most tokens written before the embedding is taken anyway. @default 128 */
  readonly maxNewTokens?: number | undefined;
  /**
   * What is pooled when the budget runs out: the last token written, as the reference does, or an `<emb>` put after it.
   * @default "pool-last"
   */
  readonly onBudget?: "pool-last" | "force-emb" | undefined;
  /** Tokens that occurred before become less likely above 1. @default the checkpoint's generation_config */
  readonly repetitionPenalty?: number | undefined;
  /** 0 takes the likeliest token, above 0 one is drawn. @default 0 */
  readonly temperature?: number | undefined;
  /** Draws only among the likeliest tokens up to this total probability. @default 1 */
  readonly topP?: number | undefined;
  /** Seed of the draws. @default 0 */
  readonly seed?: number | undefined;
}

/** One thing to embed. */
export interface EmbedItem {
  /** Queries reason before they are embedded, targets do not. @default "query" */
  readonly role?: "query" | "target" | undefined;
  /** What is wanted, put before `text` on a line of its own. */
  readonly instruction?: string | undefined;
  /**
   * The text, verbatim. Images stand where `<|image_1|>`, `<|image_2|>` ... or the family's vision triple are written,
   * or before the text. RGE checkpoints were trained on texts that end in a line break.
   */
  readonly text?: string | undefined;
  /** Paths or bytes of JPEG, PNG, WebP, GIF, AVIF or TIFF files. */
  readonly images?: readonly ImageSource[] | undefined;
  /** Fewest pixels an image is resized to. @default the checkpoint's */
  readonly minPixels?: number | undefined;
  /** Most pixels an image is resized to. @default the checkpoint's */
  readonly maxPixels?: number | undefined;
  /** Shortest side of an image: a shorter one is stretched to it before anything else. @default none */
  readonly minSide?: number | undefined;
  /** Whether and how to reason. @default true for queries, false for targets */
  readonly reason?: boolean | ReasonOptions | undefined;
  /** A rationale already known: it is read, not written. */
  readonly rationale?: string | undefined;
}

/** A question that the model answers with yes or no. */
export type JudgeItem = Pick<EmbedItem, "text" | "images" | "minPixels" | "maxPixels">;

/** Where an item's time went, in milliseconds. Work shared by a batch counts in full for each of its items. */
export interface Timings {
  /** Decoding and resizing images, tokenising. */
  readonly prepareMs: number;
  /** Vision tower. */
  readonly visionMs: number;
  /** Reading the prompt. */
  readonly prefillMs: number;
  /** Writing the rationale, up to the embedding. */
  readonly decodeMs: number;
}

/** An embedding and the reason behind it. */
export interface EmbedResult {
  /** `[hidden]`, L2 length 1. */
  readonly embedding: Float32Array;
  /** What was written before the embedding, without the `<emb>` that ended it; empty without reasoning. */
  readonly rationale: string;
  /** The tokens of the rationale, `<emb>` included where it was written. */
  readonly rationaleIds: readonly number[];
  /** How many they are. */
  readonly rationaleTokens: number;
  /** How the rationale ended: by itself, by running out of tokens, or there was none. */
  readonly finish: "emb" | "budget" | "direct";
  /** Tokens of the prompt, images included. */
  readonly promptTokens: number;
  readonly timings: Timings;
}

/** What `stream` yields, in the order of the items. */
export type EmbedOutcome =
  | { readonly index: number; readonly result: EmbedResult }
  | { readonly index: number; readonly error: Error };

/** How far loading has come. */
export type LoadProgress =
  | {
      readonly stage: "download";
      readonly file: string;
      readonly doneBytes: number;
      readonly totalBytes: number | undefined;
    }
  | { readonly stage: "compile"; readonly graph: string; readonly doneBytes: number; readonly totalBytes: number };

/** How a model is loaded. */
export interface LoadOptions {
  /** @default "int8" */
  readonly weights?: WeightFormat | undefined;
  /** A PEFT LoRA adapter, merged at load: a folder, or a name on the hub. */
  readonly adapter?: string | undefined;
  /** Items decoded together. @default 16 */
  readonly batch?: number | undefined;
  /** Threads inside one operator. @default the machine's cores */
  readonly threads?: number | undefined;
  /**
   * Training-free mode: the rationale ends with the model's turn, this text follows, and the state of its last token is
   * the embedding. Its special tokens count as such. @default none where the tokenizer has `<emb>`, else DEFAULT_CLOSING_PROMPT
   */
  readonly closingPrompt?: string | undefined;
  /** Folder of compiled graphs. @default `$RGE_CACHE`, else `$XDG_CACHE_HOME/rge`, else `~/.cache/rge` */
  readonly cacheDir?: string | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Called with remarks that are no errors, such as falling back to a cached download. */
  readonly onNotice?: ((text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a loaded model is. */
export interface ModelInfo {
  /** Hugging Face `model_type`. */
  readonly modelType: string;
  /** Length of an embedding. */
  readonly hidden: number;
  /** Identity of the checkpoint's files, adapter included: vectors of different hashes cannot be compared. */
  readonly hash: string;
  /** How a rationale ends and what is pooled. */
  readonly mode: "emb" | "training-free";
}
