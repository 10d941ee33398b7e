/** Text to ids and back, with control tokens placed only by those who may. */
import { join } from "node:path";
import { Tokenizer as HfTokenizer } from "@huggingface/tokenizers";
import { CheckpointError, InputError, messageOf } from "../errors.ts";
import { readTokenizerFiles, type AddedToken, type TokenizerFiles } from "./tokenizer-files.ts";

/** A stretch of ordinary text, or one added token by its content. */
export type TextPiece = { readonly plain: string } | { readonly special: string };

/**
 * A byte-level BPE tokenizer of the Hugging Face layout.
 *
 * "Special" here is every added token, whether or not its `special` flag is set: `<emb>` may have been added without,
 * and `<tool_call>` steers a chat model as much as `<|im_end|>` does. The underlying library is given a vocabulary
 * without them, so that no text, however written, can become one: they enter through `encodePieces` and
 * `encodeTemplate` alone.
 */
export class Tokenizer {
  readonly #plain: HfTokenizer;
  readonly #added: ReadonlyMap<string, AddedToken>;
  readonly #addedById: ReadonlyMap<number, AddedToken>;
  readonly #addedPattern: RegExp | undefined;
  /** One more than the largest id. The model's embedding table may be padded past it. */
  readonly vocabSize: number;
  /** Ids of all added tokens. */
  readonly specialIds: ReadonlySet<number>;

  constructor({ json, added, vocabSize }: TokenizerFiles) {
    this.#plain = new HfTokenizer(json, {});
    this.#added = new Map(added.map((token) => [token.content, token]));
    this.#addedById = new Map(added.map((token) => [token.id, token]));
    // Alternatives are tried in order, so the longest goes first: `<|im|>` must not hide `<|im|>x`.
    const contents = [...this.#added.keys()].sort((a, b) => b.length - a.length);
    this.#addedPattern = contents.length === 0 ? undefined : new RegExp(contents.map(escapeRegExp).join("|"), "g");
    this.vocabSize = vocabSize;
    this.specialIds = new Set(this.#addedById.keys());
  }

  /**
   * Reads tokenizer.json, and tokenizer_config.json for added tokens that only it names.
   * @param folder a checkpoint in Hugging Face layout
   * @throws {CheckpointError} missing, damaged, or no byte-level BPE
   */
  static load(folder: string): Tokenizer {
    const files = readTokenizerFiles(folder);
    try {
      return new Tokenizer(files);
    } catch (error) {
      throw new CheckpointError(`${join(folder, "tokenizer.json")}: ${messageOf(error)}`, { cause: error });
    }
  }

  /**
   * Ids of `text` with nothing in it read as a control token: `"<|im_end|>"` comes out as the pieces of those
   * characters. Equal to Hugging Face's ids for any text that holds no added token; lone surrogates count as U+FFFD.
   */
  encodePlain(text: string): number[] {
    return this.#plain.encode(text.toWellFormed(), { add_special_tokens: false }).ids;
  }

  /** Ids of `text` with added tokens read as such: for text that a checkpoint or this package wrote, no one else's. */
  encodeTemplate(text: string): number[] {
    return this.encodePieces(this.splitTemplate(text));
  }

  /** Cuts `text` at its added tokens, leftmost and longest first. */
  splitTemplate(text: string): TextPiece[] {
    if (this.#addedPattern === undefined) return [{ plain: text }];
    const pieces: TextPiece[] = [];
    let from = 0;
    for (const { index, 0: special } of text.matchAll(this.#addedPattern)) {
      if (index > from) pieces.push({ plain: text.slice(from, index) });
      pieces.push({ special });
      from = index + special.length;
    }
    if (from < text.length) pieces.push({ plain: text.slice(from) });
    return pieces;
  }

  /**
   * Ids of pieces in a row. Neighbouring plain pieces are joined before BPE, so that the ids are those of the whole
   * string and do not depend on where it was cut.
   * @throws {InputError} a `special` that is no added token of this checkpoint
   */
  encodePieces(pieces: readonly TextPiece[]): number[] {
    const ids: number[][] = [];
    let plain = "";
    for (const piece of pieces) {
      if ("plain" in piece) {
        plain += piece.plain;
        continue;
      }
      ids.push(this.encodePlain(plain), [this.specialId(piece.special)]);
      plain = "";
    }
    ids.push(this.encodePlain(plain));
    return ids.flat();
  }

  /**
   * Text of `ids`; bytes that are no UTF-8 become U+FFFD, and an id without a token (the padding of an embedding
   * table) becomes nothing, as in Hugging Face's tokenizers.
   * @param options.skipSpecial leaves added tokens out. @default false
   */
  decode(ids: readonly number[], { skipSpecial = false }: { skipSpecial?: boolean } = {}): string {
    let text = "";
    let run: number[] = [];
    const flush = (): void => {
      if (run.length === 0) return;
      text += this.#plain.decode(run, { skip_special_tokens: false, clean_up_tokenization_spaces: false });
      run = [];
    };
    for (const id of ids) {
      const added = this.#addedById.get(id);
      if (added !== undefined) {
        flush();
        if (!skipSpecial) text += added.content;
      } else if (this.#plain.id_to_token(id) !== undefined) {
        run.push(id);
      }
    }
    flush();
    return text;
  }

  /** Id of exactly this added token or vocabulary entry (in byte-level letters), if there is one. */
  tokenId(token: string): number | undefined {
    return this.#added.get(token)?.id ?? this.#plain.token_to_id(token);
  }

  /**
   * Id of an added token.
   * @throws {InputError} there is none with this content
   */
  specialId(token: string): number {
    const added = this.#added.get(token);
    if (added !== undefined) return added.id;
    throw new InputError(
      `"${token}" is no special token of this checkpoint, which has ${[...this.#added.keys()].join(" ") || "none"}`,
    );
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
