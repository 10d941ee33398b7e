/** tokenizer.json and tokenizer_config.json, checked, with the added tokens taken out of the vocabulary. */
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import { readJsonFile } from "../json.ts";

/** The largest on the hub (250,000 tokens and their merges) are some 35 MB. */
const MAX_TOKENIZER_BYTES = 128 * 2 ** 20;
/** Ids are array indices in the library; no vocabulary comes near. */
const MAX_TOKEN_ID = 2 ** 24;

/** A token that stands outside the BPE vocabulary. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
}

/** What `Tokenizer` is built from. */
export interface TokenizerFiles {
  /** tokenizer.json, its `added_tokens` empty and its vocabulary without them. */
  readonly json: object;
  /** From both files. */
  readonly added: readonly AddedToken[];
  /** One more than the largest id. */
  readonly vocabSize: number;
}

const tokenId = z.number().int().min(0).max(MAX_TOKEN_ID);
/**
 * `single_word`, `lstrip` and `rstrip` would change the text around a token, which no family here asks for; `normalized`
 * and `special` make no difference to a token that is only ever placed whole.
 */
const tokenText = {
  content: z.string().min(1),
  single_word: z.literal(false).optional(),
  lstrip: z.literal(false).optional(),
  rstrip: z.literal(false).optional(),
};
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.object({ id: tokenId, ...tokenText })).default([]),
  // The vocabulary is walked below: zod would copy its hundreds of thousands of entries.
  model: z.looseObject({
    type: z.literal("BPE"),
    vocab: z.custom<Record<string, unknown>>((value) => typeof value === "object" && value !== null),
    merges: z.array(z.unknown()),
  }),
});
const configSchema = z.object({
  added_tokens_decoder: z.record(z.string().regex(/^\d{1,8}$/), z.object(tokenText)).default({}),
});

function parse<T>(schema: z.ZodType<T>, json: unknown, file: string): T {
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new CheckpointError(`${file}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/**
 * Reads and checks a checkpoint's tokenizer.
 * @param folder a checkpoint in Hugging Face layout
 * @throws {CheckpointError} missing, damaged, no byte-level BPE, or the two files at odds about a token
 */
export function readTokenizerFiles(folder: string): TokenizerFiles {
  const file = join(folder, "tokenizer.json");
  const configFile = join(folder, "tokenizer_config.json");
  const tokenizer = parse(tokenizerSchema, readJsonFile(file, { maxBytes: MAX_TOKENIZER_BYTES }), file);
  const config = readJsonFile(configFile, { maxBytes: MAX_TOKENIZER_BYTES, missing: "undefined" });
  const { added_tokens_decoder: decoder } = parse(configSchema, config ?? {}, configFile);
  const added = new Map(tokenizer.added_tokens.map(({ content, id }) => [content, id]));
  for (const [id, { content }] of Object.entries(decoder)) {
    const known = added.get(content);
    if (known !== undefined && known !== Number(id)) {
      throw new CheckpointError(`${configFile}: "${content}" is ${id}, in tokenizer.json ${known}`);
    }
    added.set(content, Number(id));
  }
  const { vocab, vocabSize } = withoutAdded(tokenizer.model.vocab, added, file);
  return {
    json: {
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
      decoder: null,
      ...tokenizer,
      added_tokens: [],
      model: { ...tokenizer.model, vocab },
    },
    added: [...added].map(([content, id]) => ({ content, id })),
    vocabSize,
  };
}

/** The vocabulary less the added tokens, checked entry by entry. */
function withoutAdded(
  vocab: Record<string, unknown>,
  added: ReadonlyMap<string, number>,
  file: string,
): { vocab: Record<string, number>; vocabSize: number } {
  const addedIds = new Set(added.values());
  if (addedIds.size !== added.size) throw new CheckpointError(`${file}: two added tokens share an id`);
  const kept: Record<string, number> = Object.create(null);
  const seen = new Set<number>();
  let largest = -1;
  for (const id of addedIds) largest = Math.max(largest, id);
  for (const [token, id] of Object.entries(vocab)) {
    if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0 || id > MAX_TOKEN_ID) {
      throw new CheckpointError(`${file}: model.vocab: "${token}" is ${String(id)}, expected an id`);
    }
    if (added.has(token)) continue;
    if (seen.has(id) || addedIds.has(id)) {
      throw new CheckpointError(`${file}: model.vocab: "${token}" shares id ${id} with another token`);
    }
    seen.add(id);
    kept[token] = id;
    largest = Math.max(largest, id);
  }
  for (const letter of byteLetters()) {
    if (Object.hasOwn(kept, letter)) continue;
    throw new CheckpointError(`${file}: model.vocab: no "${letter}"; only byte-level BPE with all 256 bytes is read`);
  }
  return { vocab: kept, vocabSize: largest + 1 };
}

/** Whether byte-level BPE writes a byte as the Latin-1 character of its own number. */
function isPrintable(byte: number): boolean {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/** The 256 letters of byte-level BPE: printable Latin-1 stands for itself, the rest for U+0100 and up (GPT-2). */
function byteLetters(): string[] {
  let shifted = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : shifted++));
}
