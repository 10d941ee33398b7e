/**
 * The ids of one user turn, with the checkpoint's template around it.
 *
 * The template is rendered over stand-ins for what the caller wrote. The result is cut at them: what the template wrote
 * may hold control tokens, what the caller wrote is plain text whatever it looks like. Neighbouring plain stretches are
 * joined before BPE, so that harmless text gives the very ids that Hugging Face gives for the whole string.
 */
import { CheckpointError, InputError } from "../errors.ts";
import type { ChatMessage, ChatTemplate } from "./chat-template.ts";
import { IMAGE_PAD, splitContent, VISION_END, VISION_START, type ContentPiece } from "./image-slots.ts";
import type { TextPiece, Tokenizer } from "./tokenizer.ts";

/** Stand-ins: letters and digits, which no filter of a template trims or escapes. */
const CONTENT = "RGEcontent8f1c2d7a";
const SYSTEM = "RGEsystem8f1c2d7a";

/** Past the longest context of the families here (some 128,000 tokens); BPE takes about a microsecond a character. */
const MAX_TEXT_CHARS = 500_000;

/** What one prompt is made of. */
export interface PromptParts {
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  /** The user's text, with or without image slots (`splitContent`). */
  readonly content: string;
  /** Per image of the item, how many `<|image_pad|>` ids it takes. */
  readonly imageTokenCounts: readonly number[];
  /** Plain text of a system turn. @default the template's own, if it has one */
  readonly system?: string | undefined;
  /** What follows the opening of the assistant's turn: `[{ special: "<emb>" }]` for a target. @default nothing */
  readonly suffix?: readonly TextPiece[] | undefined;
}

/** Where an image's `<|image_pad|>` ids stand. */
export interface ImageSpan {
  /** Index into `imageTokenCounts`. */
  readonly image: number;
  /** Index of the first id in `inputIds`. */
  readonly start: number;
  /** How many ids. */
  readonly length: number;
}

/** A prompt that a model can read. */
export interface Prompt {
  /** `[sequence]` */
  readonly inputIds: number[];
  /** The same as a person reads it, `<|image_pad|>` repeated as in `inputIds`. */
  readonly text: string;
  /** In the order of the sequence, which is that of the slots: patches must be passed to the model in it too. */
  readonly imageSpans: readonly ImageSpan[];
}

/**
 * Builds the prompt of one user turn, open for the assistant's answer.
 * @throws {InputError} slots and images that do not match, a text too long, or an unknown token in `suffix`
 * @throws {CheckpointError} a template that does not show the text exactly once, or places images of its own
 */
export function buildPrompt(parts: PromptParts): Prompt {
  const { tokenizer, content, imageTokenCounts, system = "", suffix = [] } = parts;
  const typed = content.length + system.length + suffix.reduce((sum, piece) => sum + pieceText(piece).length, 0);
  if (typed > MAX_TEXT_CHARS) throw new InputError(`${typed} characters of text, limit ${MAX_TEXT_CHARS}`);
  for (const count of imageTokenCounts) {
    if (!Number.isSafeInteger(count) || count < 1) throw new InputError(`internal: an image of ${count} tokens`);
  }
  if (suffix.some((piece) => "special" in piece && piece.special === IMAGE_PAD)) {
    throw new InputError(`${IMAGE_PAD} in the suffix has no image. Put images in the text.`);
  }
  const userPieces = splitContent(content, imageTokenCounts.length);
  const pieces = [
    ...framePieces(parts).flatMap((piece): TextPiece[] => {
      if (piece === "content") return userPieces.flatMap((part) => imagePieces(part, imageTokenCounts));
      return [piece === "system" ? { plain: system } : piece];
    }),
    ...suffix,
  ];
  const inputIds = tokenizer.encodePieces(pieces);
  const order = userPieces.flatMap((piece) => ("image" in piece ? [piece.image] : []));
  return {
    inputIds,
    text: pieces.map(pieceText).join(""),
    imageSpans: findSpans(inputIds, tokenizer.tokenId(IMAGE_PAD), order, imageTokenCounts),
  };
}

/** Ids of what the template writes before the user's text, tokenised alone: what nearly all prompts begin with. */
export function openingIds({ tokenizer, template }: Pick<PromptParts, "tokenizer" | "template">): number[] {
  const pieces = framePieces({ tokenizer, template, content: "", imageTokenCounts: [] });
  const opening = pieces.slice(0, pieces.indexOf("content")) as TextPiece[];
  return tokenizer.encodePieces(opening);
}

function turn(role: ChatMessage["role"], text: string): ChatMessage {
  return { role, content: [{ type: "text", text }] };
}

/** The template's own pieces, with the places of what the caller wrote. */
function framePieces({ tokenizer, template, system }: PromptParts): (TextPiece | "content" | "system")[] {
  const messages = system === undefined ? [] : [turn("system", SYSTEM)];
  const rendered = template.render([...messages, turn("user", CONTENT)]);
  const parts = rendered.split(new RegExp(`(${CONTENT}|${SYSTEM})`));
  const shown = (standIn: string): number => parts.filter((part) => part === standIn).length;
  if (shown(CONTENT) !== 1 || shown(SYSTEM) !== messages.length) {
    throw new CheckpointError(
      `the chat template shows the user's text ${shown(CONTENT)} times and the system text ${shown(SYSTEM)} times, ` +
        `expected 1 and ${messages.length}. A template that rewrites its input cannot be used here.`,
    );
  }
  return parts.flatMap((part): (TextPiece | "content" | "system")[] => {
    if (part === CONTENT) return ["content"];
    return part === SYSTEM ? ["system"] : tokenizer.splitTemplate(part);
  });
}

function imagePieces(piece: ContentPiece, imageTokenCounts: readonly number[]): TextPiece[] {
  if ("plain" in piece) return [piece];
  const pads = Array.from({ length: imageTokenCounts[piece.image] ?? 0 }, () => ({ special: IMAGE_PAD }));
  return [{ special: VISION_START }, ...pads, { special: VISION_END }];
}

function pieceText(piece: TextPiece): string {
  return "plain" in piece ? piece.plain : piece.special;
}

/** Finds the runs of `imagePad` and checks them against what was asked for. */
function findSpans(
  inputIds: readonly number[],
  imagePad: number | undefined,
  order: readonly number[],
  imageTokenCounts: readonly number[],
): ImageSpan[] {
  const runs: { start: number; length: number }[] = [];
  for (const [at, id] of inputIds.entries()) {
    if (id !== imagePad) continue;
    const last = runs.at(-1);
    if (last !== undefined && last.start + last.length === at) last.length += 1;
    else runs.push({ start: at, length: 1 });
  }
  const spans = order.map((image, i) => ({ image, start: runs[i]?.start ?? -1, length: runs[i]?.length ?? 0 }));
  if (runs.length === spans.length && spans.every(({ image, length }) => length === imageTokenCounts[image])) {
    return spans;
  }
  throw new CheckpointError(`the chat template places ${IMAGE_PAD} of its own, outside the user's text`);
}
