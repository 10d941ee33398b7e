import assert from "node:assert/strict";
import { test } from "node:test";
import { SCENE_DATASETS } from "../../../src/scenes/datasets.ts";
import { candidatesOf, examplesOf, ScenePool } from "../../../src/scenes/rows.ts";
import { IMAGE_SLOT, type Example, type SceneDataset } from "../../../src/scenes/task.ts";
import { PLACES, type Split } from "../../../src/scenes/world.ts";
import { countOf, moreOf, mostOf, referents, totalOf } from "./solver.ts";

const COUNT = 60;
/** What a question asks for, in any of its wordings. */
const ASKED_CROP =
  /^(?:Crop|Find the crop that shows|Which crop shows|In the image, find|Identify the crop of|In this picture, crop) (.*)[.?]$/;
const COUNTED =
  /^(?:How many (.*) are there\?|How many (.*) does this image show\?|Count the (.*) in the image\.|In the picture, count the (.*)\.|Name the number of (.*)\.)$/;
const ASKED_ABOUT =
  /(the (?!colour|shape|size|fill|image)(?:(?! have| is of| in this)[\w ])+)(?: have| is of| in this|[?.])/;

function examples(name: string, split: Split = "eval", seed = 3): { dataset: SceneDataset; rows: Example[] } {
  const dataset = SCENE_DATASETS.find((it) => it.name === name)!;
  return { dataset, rows: [...examplesOf(dataset, COUNT, new ScenePool(split, seed), { split, seed })] };
}

function questionOf({ query }: Example): string {
  return query.text.replace(IMAGE_SLOT, "");
}

function sceneOf({ query }: Example) {
  return query.picture!.scene;
}

for (const name of ["OneHop", "TwoHop", "TwoHopNovel", "ThreeHop", "FourHop"])
  test(`${name}: the way leads to one object, and that is the answer`, () => {
    for (const example of examples(name).rows) {
      const phrase = /(the object .*)[?.]$/.exec(questionOf(example))![1]!;
      const found = referents(phrase, sceneOf(example));
      assert.equal(found.length, 1, phrase);
      assert.equal(example.gold.text, `${found[0]!.colour} ${found[0]!.shape}`);
    }
  });

for (const name of ["Referring", "ReferringNovel", "OneHopCrop", "TwoHopCrop", "TwoHopCropNovel", "ThreeHopCrop"])
  test(`${name}: the expression means the object that the right crop shows`, () => {
    for (const example of examples(name).rows) {
      const { crop } = example.gold.picture!;
      const asked = ASKED_CROP.exec(questionOf(example))![1]!;
      const place = /^the object at (.*)$/.exec(asked)?.[1];
      if (place === undefined) assert.deepEqual(referents(asked, sceneOf(example)), [crop], questionOf(example));
      else assert.equal(PLACES[crop!.cell], place);
    }
  });

for (const name of ["CountIf", "CountBoth"])
  test(`${name}: as many objects as the answer says`, () => {
    for (const example of examples(name).rows) {
      const plural = COUNTED.exec(questionOf(example))!
        .slice(1)
        .find((it) => it !== undefined)!;
      assert.equal(example.gold.text, countOf(plural, sceneOf(example)));
    }
  });

test("Count, Compare and Dominant: the answer is counted again", () => {
  for (const example of examples("Count").rows) assert.equal(example.gold.text, totalOf(sceneOf(example)));
  for (const example of examples("Compare").rows) {
    const [, first, second] = /(\w+) or (\w+)/.exec(questionOf(example))!;
    assert.equal(example.gold.text, moreOf(first!, second!, sceneOf(example)), questionOf(example));
  }
  for (const example of [...examples("Dominant").rows, ...examples("DominantNovel").rows]) {
    const what = /colour|shape/.exec(questionOf(example))![0] as "colour" | "shape";
    assert.equal(example.gold.text, mostOf(what, sceneOf(example)));
  }
});

test("Background, Symbol and Attribute: the answer is read off", () => {
  for (const example of examples("Background").rows) assert.equal(example.gold.text, sceneOf(example).background);
  for (const example of [...examples("Symbol").rows, ...examples("SymbolNovel").rows]) {
    const symbols = sceneOf(example).objects.flatMap(({ symbol }) => symbol ?? []);
    assert.equal(symbols.length, 1);
    assert.equal(example.gold.text.at(-1), symbols[0]);
  }
  for (const example of [...examples("Attribute").rows, ...examples("AttributeNovel").rows]) {
    const what = /colour|shape|size|fill/.exec(questionOf(example))![0] as "colour";
    const name = ASKED_ABOUT.exec(questionOf(example))![1]!;
    const [object, ...others] = referents(name, sceneOf(example));
    assert.equal(others.length, 0, questionOf(example));
    assert.equal(object![what], example.gold.text);
  }
});

test("captions name every object where it stands, and the changed picture is what the words say", () => {
  for (const { query, gold, rationale } of examples("CaptionToImage").rows) {
    const { background, objects } = gold.picture!.scene;
    assert.equal(query.text.match(/ at /g)!.length, objects.length);
    for (const { colour, shape } of objects) assert.ok(query.text.includes(`${colour} ${shape} at `));
    assert.ok(query.text.includes(background) && rationale.includes(background));
  }
  for (const example of [...examples("Change").rows, ...examples("ChangeThree").rows]) {
    const [before, after] = [sceneOf(example), example.gold.picture!.scene];
    const wanted = questionOf(example).match(/make the|move the/g)!.length;
    const key = (it: (typeof before)["objects"][number]): string =>
      [it.cell, it.colour, it.shape, it.size, it.fill].join(" ");
    const kept = before.objects.filter((object) => after.objects.some((it) => key(it) === key(object))).length;
    const changed = before.objects.length - kept + (before.background === after.background ? 0 : 1);
    assert.equal(changed, wanted, questionOf(example));
  }
});

test("candidates: the right one first, twenty or every label, none that means the same", () => {
  for (const dataset of SCENE_DATASETS) {
    const { rows } = examples(dataset.name);
    for (const [i, candidates] of candidatesOf(dataset, rows, 3).entries()) {
      assert.equal(candidates[0], rows[i]!.gold);
      assert.equal(candidates.length, dataset.labels?.length ?? 20, dataset.name);
      const texts = candidates.flatMap(({ text, picture }) => (picture === undefined ? [text] : []));
      assert.equal(new Set(texts).size, texts.length, dataset.name);
    }
  }
});

test("an example does not change with how many are made, and another seed makes others", () => {
  const dataset = SCENE_DATASETS[5]!;
  const make = (count: number, seed: number): string =>
    JSON.stringify([...examplesOf(dataset, count, new ScenePool("train", seed), { split: "train", seed })].slice(0, 5));
  assert.equal(make(5, 1), make(50, 1));
  assert.notEqual(make(5, 1), make(5, 2));
});
