/** A byte-level BPE tokenizer for a small corpus, in the Qwen family's format and with its special tokens. */

/** The family's special tokens in their usual order, and `<emb>`. */
export const SPECIAL_TOKENS = [
  "<|endoftext|>",
  "<|im_start|>",
  "<|im_end|>",
  "<|vision_start|>",
  "<|vision_end|>",
  "<|vision_pad|>",
  "<|image_pad|>",
  "<|video_pad|>",
  "<emb>",
] as const;
export type SpecialToken = (typeof SPECIAL_TOKENS)[number];

/** Qwen's split of a text into words. */
const WORDS = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** A vocabulary, and the tokenizer.json that has it. */
export interface TrainedTokenizer {
  readonly json: object;
  /** Tokens in all, special ones included. */
  readonly vocab: number;
  readonly idOf: (token: SpecialToken) => number;
}

/**
 * Merges the commonest pair of neighbours until each word of the corpus that occurs at least `leastCount` times is one
 * token (Sennrich et al. 2016, arXiv:1508.07909); ties go to the pair that sorts first.
 */
export function trainTokenizer(texts: Iterable<string>, leastCount: number): TrainedTokenizer {
  const counts = new Map<string, number>();
  const pattern = new RegExp(WORDS, "gu");
  for (const text of texts)
    for (const [word] of text.normalize("NFC").matchAll(pattern)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...counts]
    .filter(([, count]) => count >= leastCount)
    .map(([word, count]) => ({ count, parts: [...Buffer.from(word, "utf8")].map((byte) => BYTE_CHARACTERS[byte]!) }));
  const merges: [string, string][] = [];
  for (;;) {
    const best = commonestPair(words);
    if (best === undefined) break;
    merges.push(best);
    for (const word of words) word.parts = merged(word.parts, best);
  }
  const vocabulary = [...new Set([...[...BYTE_CHARACTERS].sort(), ...merges.map((pair) => pair.join(""))])];
  const idOf = (token: SpecialToken): number => vocabulary.length + SPECIAL_TOKENS.indexOf(token);
  return { json: tokenizerJson(vocabulary, merges, idOf), vocab: vocabulary.length + SPECIAL_TOKENS.length, idOf };
}

interface Word {
  readonly count: number;
  parts: string[];
}

function commonestPair(words: readonly Word[]): [string, string] | undefined {
  const pairs = new Map<string, number>();
  for (const { count, parts } of words)
    for (let i = 1; i < parts.length; i++) {
      // No byte's character is a space.
      const pair = `${parts[i - 1]} ${parts[i]}`;
      pairs.set(pair, (pairs.get(pair) ?? 0) + count);
    }
  let best: [string, number] | undefined;
  for (const [pair, count] of pairs)
    if (best === undefined || count > best[1] || (count === best[1] && pair < best[0])) best = [pair, count];
  return best && (best[0].split(" ") as [string, string]);
}

function merged(parts: readonly string[], [left, right]: readonly [string, string]): string[] {
  const result: string[] = [];
  for (let i = 0; i < parts.length; i++) {
    const isPair = parts[i] === left && parts[i + 1] === right;
    result.push(isPair ? left + right : parts[i]!);
    if (isPair) i++;
  }
  return result;
}

/** GPT-2's printable character for each byte. */
const BYTE_CHARACTERS: readonly string[] = byteCharacters();

function byteCharacters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
}

function isPrintable(byte: number): boolean {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
}

function tokenizerJson(
  vocabulary: readonly string[],
  merges: readonly (readonly [string, string])[],
  idOf: (token: SpecialToken) => number,
): object {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content) => ({
      id: idOf(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges,
    },
  };
}
