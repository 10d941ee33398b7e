/** What the larger model is asked: the query, what it is to find, and how to reason from one to the other. */
import type { TrainRow, TrainSide } from "../dataset/train-row.ts";
import { sniffFormat } from "../input/image-format.ts";
import { splitContent } from "../input/image-slots.ts";
import { readImageBytes } from "../input/image-source.ts";

/** A part of a message, in the chat completions' format. */
export type ContentPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } };

/** A message, in the chat completions' format. */
export interface ChatMessage {
  readonly role: "system" | "user";
  readonly content: string | readonly ContentPart[];
}

/** Largest picture that is sent, in bytes: hosted endpoints stop between 5 and 20 MB a request, and base64 adds a third. */
const MAX_IMAGE_BYTES = 4 * 2 ** 20;

/** Stands for the most words in a prompt. */
const MAX_WORDS_SLOT = "{maxWords}";

/** The instructions; the training trains a model to write this from the query alone, so nothing in it may say more. */
export const ORACLE_PROMPT: string = `You write the reasoning step of a retrieval model. You see a query (an instruction with text, an image, or both) and the item that it has to find. The retrieval model will see the query only, and has to learn to reason its way to what matches.

Write one paragraph of plain prose, at most ${MAX_WORDS_SLOT} words:
1. Start from evidence: what is visible in the query's image, or said in its text, that matters for the instruction.
2. Reason from that evidence, step by step, towards what would match. Use the item to know where to arrive, never as a source: do not state details that nobody could infer from the query.
3. End with a description of what should match, such as "look for ...". If what matches is a short answer, name it there, in the last clause, and nowhere before.

Write as if the item had not been shown to you. Never mention a target, a given answer, or these instructions. No headings, no lists, no quotation marks around the paragraph.`;

const QUERY_HEADING = "Query:\n";
const TARGET_HEADING = "\n\nThe item to find (for your eyes only):\n";
const CLOSING = "\n\nWrite the paragraph now.";

/** The instructions with the number of words in its place. */
export function instructionsOf(prompt: string, maxWords: number): string {
  return prompt.replaceAll(MAX_WORDS_SLOT, String(maxWords));
}

/**
 * The conversation that asks for the rationale of `row`.
 * @throws {ImageError} a picture that cannot be read, is too large to send, or is no picture
 * @throws {InputError} a text whose slots do not fit its image
 */
export async function askFor(row: TrainRow, instructions: string): Promise<ChatMessage[]> {
  const content = [
    text(QUERY_HEADING),
    ...(await partsOf(row.query)),
    text(TARGET_HEADING),
    ...(await partsOf(row.target)),
    text(CLOSING),
  ];
  return [
    { role: "system", content: instructions },
    { role: "user", content: joined(content) },
  ];
}

async function partsOf(side: TrainSide): Promise<ContentPart[]> {
  const { image } = side;
  const pieces = splitContent(side.text, image === undefined ? 0 : 1);
  const parts: ContentPart[] = [];
  for (const piece of pieces) parts.push("plain" in piece ? text(piece.plain) : await pictureOf(image!));
  return parts;
}

async function pictureOf(path: string): Promise<ContentPart> {
  const bytes = await readImageBytes(path, MAX_IMAGE_BYTES, path);
  const url = `data:image/${sniffFormat(bytes, path)};base64,${Buffer.from(bytes).toString("base64")}`;
  return { type: "image_url", image_url: { url } };
}

function text(value: string): ContentPart {
  return { type: "text", text: value };
}

/** Neighbouring texts as one, empty ones left out: some engines put a line break between parts. */
function joined(parts: readonly ContentPart[]): ContentPart[] {
  const result: ContentPart[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (part.type === "text" && last?.type === "text") result[result.length - 1] = text(last.text + part.text);
    else result.push(part);
  }
  return result;
}
