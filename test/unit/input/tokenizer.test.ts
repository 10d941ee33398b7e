import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { CheckpointError, InputError } from "../../../src/errors.ts";
import { Tokenizer } from "../../../src/input/tokenizer.ts";

const CHECKPOINT = fileURLToPath(new URL("../../fixtures/qwen2_5_vl/checkpoint", import.meta.url));
const TOKENS = JSON.parse(readFileSync(new URL("../../fixtures/input/tokens.json", import.meta.url), "utf8")) as [
  string,
  number[],
][];
const tokenizer = Tokenizer.load(CHECKPOINT);

/** A checkpoint folder with an edited tokenizer.json and a tokenizer_config.json, for the length of `use`. */
function withFiles(edit: (json: TokenizerJson) => void, config: object, use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "rge-tokenizer-"));
  try {
    const json = JSON.parse(readFileSync(join(CHECKPOINT, "tokenizer.json"), "utf8")) as TokenizerJson;
    edit(json);
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(json));
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
    use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
interface TokenizerJson {
  added_tokens: { id: number; content: string; lstrip?: boolean }[];
  model: { type: string; vocab: Record<string, number>; ignore_merges?: boolean };
}

test("plain text has the ids of Hugging Face's tokenizers", () => {
  for (const [text, ids] of TOKENS) assert.deepEqual(tokenizer.encodePlain(text), ids, JSON.stringify(text));
});

test("decoding gives back the text in NFC", () => {
  for (const [text, ids] of TOKENS) assert.equal(tokenizer.decode(ids), text.normalize("NFC"));
});

test("plain text never has a special id, and reads the same after decoding", () => {
  for (const special of ["<|im_end|>", "<emb>", "<|image_pad|>", "<|vision_start|>", "<|endoftext|>"]) {
    const text = `a ${special}${special} b`;
    const ids = tokenizer.encodePlain(text);
    assert.ok(!ids.some((id) => tokenizer.specialIds.has(id)), special);
    assert.equal(tokenizer.decode(ids), text);
    assert.ok(tokenizer.encodeTemplate(text).includes(tokenizer.tokenId(special)!));
  }
});

test("lone surrogates are tokenised as U+FFFD", () => {
  assert.deepEqual(tokenizer.encodePlain("a\ud83d b\udc08"), tokenizer.encodePlain("a\ufffd b\ufffd"));
});

test("pieces give the ids of the whole string wherever it was cut", () => {
  const text = "Answer the question\n\n'RE caf\u0065\u0301 12  x";
  for (let cut = 0; cut <= text.length; cut++) {
    const ids = tokenizer.encodePieces([
      { plain: text.slice(0, cut) },
      { plain: text.slice(cut) },
      { special: "<emb>" },
    ]);
    assert.deepEqual(ids, [...tokenizer.encodePlain(text), 526]);
  }
});

test("decode leaves special tokens out on request, and ids of an embedding table's padding always", () => {
  const ids = [519, ...tokenizer.encodePlain("hi"), 526, 100_000];
  assert.equal(tokenizer.decode(ids), "<|im_start|>hi<emb>");
  assert.equal(tokenizer.decode(ids, { skipSpecial: true }), "hi");
  assert.equal(tokenizer.decode([]), "");
});

test("half a character decodes to U+FFFD", () => {
  assert.equal(tokenizer.decode(tokenizer.encodePlain("\u732b").slice(0, 1)), "\ufffd");
});

test("an unknown special piece is an error that lists the known ones", () => {
  assert.throws(() => tokenizer.encodePieces([{ special: "<nope>" }]), InputError);
  assert.throws(() => tokenizer.specialId("<nope>"), /"<nope>" is no special token.*<emb>/);
});

test("a token that only tokenizer_config.json names is special too", () => {
  const config = {
    added_tokens_decoder: { "526": { content: "<emb>" }, "700": { content: "<more>", special: false } },
  };
  withFiles(
    (json) => void json.added_tokens.pop(),
    config,
    (folder) => {
      const other = Tokenizer.load(folder);
      assert.deepEqual(other.encodeTemplate("<emb><more>"), [526, 700]);
      assert.ok(!other.encodePlain("<more>").includes(700));
      assert.equal(other.vocabSize, 701);
    },
  );
});

function addKnownToken(json: TokenizerJson): void {
  json.model.vocab["!?"] = 900;
  json.model.ignore_merges = true;
  json.added_tokens.push({ id: 900, content: "!?" });
}

test("an added token that is also in the vocabulary stays out of plain text's reach", () => {
  withFiles(addKnownToken, {}, (folder) => {
    const other = Tokenizer.load(folder);
    assert.ok(!other.encodePlain("!?").includes(900));
    assert.deepEqual(other.encodeTemplate("!?"), [900]);
  });
});

test("tokenizers that would be read wrongly are refused", () => {
  const edits: [(json: TokenizerJson) => void, RegExp][] = [
    [(json) => void (json.model.type = "Unigram"), /model/],
    [(json) => void (json.added_tokens[0]!.lstrip = true), /lstrip/],
    [(json) => void (json.model.vocab["a"] = -1), /vocab/],
    [(json) => void delete json.model.vocab["!"], /byte-level/],
    [(json) => void (json.added_tokens[0]!.id = 3), /shares id 3/],
  ];
  for (const [edit, message] of edits) {
    withFiles(edit, {}, (folder) => {
      assert.throws(
        () => Tokenizer.load(folder),
        (error) => {
          assert.ok(error instanceof CheckpointError);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }
  assert.throws(() => Tokenizer.load("/nowhere"), CheckpointError);
});
