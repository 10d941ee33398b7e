import assert from "node:assert/strict";
import { test } from "node:test";
import { SCENE_DATASETS } from "../../../src/scenes/datasets.ts";
import { candidatesOf, examplesOf, ScenePool } from "../../../src/scenes/rows.ts";
import { IMAGE_SLOT, META_TASKS, type Example, type ExampleSide, type SceneDataset } from "../../../src/scenes/task.ts";
import {
  contentOf,
  hasHeldOutSteps,
  heldOutCarrier,
  isHeldOut,
  splitOf,
  type Direction,
} from "../../../src/scenes/world.ts";

const TRAIN_ROWS = 400;
const EVAL_ROWS = 120;

interface Made {
  readonly dataset: SceneDataset;
  readonly rows: readonly Example[];
  /** Queries, golds and every other candidate or negative. */
  readonly sides: readonly ExampleSide[];
}

// Another seed for each split: what keeps them apart must not be the seed.
const trainPool = new ScenePool("train", 1);
const train = SCENE_DATASETS.filter(({ ood }) => !ood).map((dataset): Made => {
  const rows = [...examplesOf(dataset, TRAIN_ROWS, trainPool, { split: "train", seed: 1 })];
  return { dataset, rows, sides: rows.flatMap(({ query, gold, hard }) => [query, gold, ...hard]) };
});
const evalPool = new ScenePool("eval", 2);
const evaluation = SCENE_DATASETS.map((dataset): Made => {
  const rows = [...examplesOf(dataset, EVAL_ROWS, evalPool, { split: "eval", seed: 2 })];
  const sides = [...rows.map(({ query }) => query), ...candidatesOf(dataset, rows, 2).flat()];
  return { dataset, rows, sides };
});

function picturesOf(made: readonly Made[]) {
  return made.flatMap(({ sides }) => sides.flatMap(({ picture }) => (picture === undefined ? [] : [picture])));
}

/** Steps that a question asks for, in the order they are taken. */
function stepsOf(question: string): Direction[] {
  const walked = /the object ((?:left|right|up|down)(?: then (?:left|right|up|down))*) from/.exec(question);
  if (walked !== null) return walked[1]!.split(" then ") as Direction[];
  const names = { left: "left", right: "right", above: "up", below: "down" } as const;
  const nested = [...question.matchAll(/the object (left|right|above|below)/g)];
  return nested.map(([, word]) => names[word as "left"]).toReversed();
}

/** The first words of a question. */
function openingOf(text: string): string {
  return text.replace(IMAGE_SLOT, "").split(/[ :]/).slice(0, 5).join(" ");
}

function trainTexts(name: string): string[] {
  return train.find(({ dataset }) => dataset.name === name)!.rows.map(({ query }) => query.text);
}

test("there are at least twelve datasets, each meta-task has some in and some out of distribution", () => {
  assert.ok(SCENE_DATASETS.length >= 12);
  for (const metaTask of META_TASKS)
    for (const ood of [false, true])
      assert.ok(
        SCENE_DATASETS.some((it) => it.metaTask === metaTask && it.ood === ood),
        `${metaTask} ${ood}`,
      );
});

test("no content of an evaluation picture occurs in a picture of training", () => {
  for (const { scene } of picturesOf(train)) assert.equal(splitOf(scene), "train");
  for (const { scene } of picturesOf(evaluation)) assert.equal(splitOf(scene), "eval");
  const trained = new Set(picturesOf(train).map(({ scene }) => contentOf(scene)));
  const evaluated = new Set(picturesOf(evaluation).map(({ scene }) => contentOf(scene)));
  assert.ok(trained.size > 5000 && evaluated.size > 5000, `${trained.size} and ${evaluated.size} contents`);
  assert.deepEqual(
    [...evaluated].filter((content) => trained.has(content)),
    [],
  );
});

test("pictures are drawn differently even where they show the same", () => {
  for (const made of [train, evaluation]) {
    const scenes = new Set(picturesOf(made).map(({ scene }) => scene));
    assert.equal(new Set([...scenes].map((scene) => JSON.stringify(scene))).size, scenes.size);
  }
});

test("held-out looks and carriers occur in no picture of training, and in none that is in distribution", () => {
  const inDistribution = [...train, ...evaluation.filter(({ dataset }) => dataset.novel !== true)];
  for (const { scene } of picturesOf(inDistribution)) {
    assert.deepEqual(scene.objects.filter(isHeldOut), []);
    for (const { symbol, colour } of scene.objects)
      assert.ok(symbol === undefined || heldOutCarrier(symbol) !== colour);
  }
});

test("held-out looks are what the datasets that are named for them ask about", () => {
  for (const { dataset, rows } of evaluation.filter((it) => it.dataset.novel))
    for (const { query, gold } of rows) {
      const { objects } = (query.picture ?? gold.picture)!.scene;
      assert.ok(
        objects.some((it) => isHeldOut(it) || (it.symbol && heldOutCarrier(it.symbol) === it.colour)),
        dataset.name,
      );
    }
});

test("relations that are held out, four steps, and crops three steps away occur in no question of training", () => {
  const questions = train.flatMap(({ rows }) => rows.map(({ query }) => query.text.replace(IMAGE_SLOT, "")));
  const related = questions.filter((text) => !text.includes(" from the ")).map(stepsOf);
  assert.ok(related.filter(({ length }) => length > 1).length > 300);
  assert.deepEqual(related.filter(hasHeldOutSteps), []);
  assert.ok(questions.every((text) => stepsOf(text).length <= 3));
  const crops = [...trainTexts("OneHopCrop"), ...trainTexts("TwoHopCrop"), ...trainTexts("Reached")].map(stepsOf);
  assert.ok(crops.every(({ length }) => length === 1 || length === 2));
  const novel = evaluation.filter(({ dataset }) => /TwoHop.*Novel/.test(dataset.name)).flatMap(({ rows }) => rows);
  assert.ok(novel.every(({ query }) => hasHeldOutSteps(stepsOf(query.text)) && !query.text.includes(" from the ")));
});

test("wordings of the novel datasets occur in no question of training", () => {
  const trained = new Set(train.flatMap(({ rows }) => rows.map(({ query }) => openingOf(query.text))));
  for (const name of ["SymbolNovel", "DominantNovel", "AttributeNovel", "CaptionToImageNovel", "ReferringNovel"]) {
    const { rows } = evaluation.find(({ dataset }) => dataset.name === name)!;
    assert.deepEqual(
      rows.filter(({ query }) => trained.has(openingOf(query.text))).map(({ query }) => query.text),
      [],
    );
  }
});

test("conditions are single in training, and changes at most two", () => {
  for (const text of trainTexts("CountIf"))
    assert.match(text, /(?:many|the|of) (\w+ objects|\w+s)(?: are| does| in|\.)/);
  for (const text of trainTexts("Change")) assert.ok(text.match(/make the|move the/g)!.length <= 2, text);
});
