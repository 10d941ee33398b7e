import assert from "node:assert/strict";
import { test } from "node:test";
import { NANO_FOLDER } from "../../../src/checkpoint/nano.ts";
import { Tokenizer } from "../../../src/input/tokenizer.ts";
import { SCENE_DATASETS } from "../../../src/scenes/datasets.ts";
import { examplesOf, ScenePool } from "../../../src/scenes/rows.ts";
import { shortName } from "../../../src/scenes/wording.ts";

const MAX_TOKENS = 64;
const ROWS = 150;

test("no rationale is longer than 64 of nano's tokens, <emb> included", () => {
  const tokenizer = Tokenizer.load(NANO_FOLDER);
  const pool = new ScenePool("eval", 4);
  for (const dataset of SCENE_DATASETS) {
    const rows = [...examplesOf(dataset, ROWS, pool, { split: "eval", seed: 4 })];
    for (const { rationale } of rows)
      assert.ok(tokenizer.encodePlain(rationale).length + 1 <= MAX_TOKENS, `${dataset.name}: ${rationale}`);
  }
});

test("a rationale follows from the query: it names what the question names, and ends in what is to be found", () => {
  const pool = new ScenePool("eval", 4);
  for (const name of [
    "OneHop",
    "TwoHop",
    "ThreeHop",
    "FourHop",
    "OneHopCrop",
    "TwoHopCrop",
    "ThreeHopCrop",
    "Reached",
  ]) {
    const dataset = SCENE_DATASETS.find((it) => it.name === name)!;
    for (const { query, gold, rationale } of examplesOf(dataset, ROWS, pool, { split: "eval", seed: 4 })) {
      const [, start] = /(?:from|of|above|below) the (\w+ \w+)(?:[.?,]| alone)/.exec(query.text)!;
      assert.ok(rationale.includes(` ${start},`), `${query.text} ${rationale}`);
      const found =
        gold.picture === undefined ? gold.text : shortName(gold.picture.crop ?? gold.picture.scene.objects[0]!);
      assert.match(rationale, new RegExp(`(Look for|So it is)[^.]* ${found}( on \\w+)?\\.$`));
    }
  }
});

test("rationales are worded in more than one way", () => {
  const pool = new ScenePool("eval", 4);
  for (const dataset of SCENE_DATASETS.filter(({ metaTask }) => metaTask !== "retrieval")) {
    const rows = [...examplesOf(dataset, ROWS, pool, { split: "eval", seed: 4 })];
    const ends = new Set(rows.map(({ rationale }) => /(Look for|So it is)[^.]*\.$/.exec(rationale)![1]));
    assert.deepEqual(ends, new Set(["Look for", "So it is"]), dataset.name);
  }
});
