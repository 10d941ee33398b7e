import assert from "node:assert/strict";
import { test } from "node:test";
import { modelMetaSchema, mtebFiles, mtebTaskSchema, type MtebFile } from "../../../src/eval/mteb.ts";
import { datasetResult, evalResults } from "./eval-results.ts";

/** From embeddings-benchmark/results, intfloat__multilingual-e5-small, cut to a few scores. */
const PUBLISHED_TASK = {
  dataset_revision: "49c07b6",
  task_name: "BarExamQA",
  mteb_version: "1.38.36",
  scores: {
    test: [
      { ndcg_at_1: 0.18803, ndcg_at_10: 0.30791, main_score: 0.30791, hf_subset: "default", languages: ["eng-Latn"] },
    ],
  },
  evaluation_time: 1.3552460670471191,
  kg_co2_emissions: null,
};

/** Its model_meta.json. */
const PUBLISHED_META = {
  loader_kwargs: {},
  name: "intfloat/multilingual-e5-small",
  revision: "c007d7ef6fd86656326059b28395a7a03a7c5846",
  release_date: null,
  languages: null,
  n_parameters: null,
  memory_usage_mb: null,
  max_tokens: null,
  embed_dim: 384,
  license: null,
  open_weights: true,
  public_training_code: null,
  public_training_data: null,
  framework: ["Sentence Transformers"],
  reference: null,
  similarity_fn_name: null,
  use_instructions: null,
  training_datasets: null,
  adapted_from: null,
  superseded_by: null,
  modalities: ["text"],
  is_cross_encoder: null,
  citation: null,
  contacts: null,
  loader: "sentence_transformers_loader",
};

test("the schemas take what MTEB has published", () => {
  assert.deepEqual(mtebTaskSchema.parse(PUBLISHED_TASK), PUBLISHED_TASK);
  assert.deepEqual(modelMetaSchema.parse(PUBLISHED_META), PUBLISHED_META);
});

test("the schemas refuse what mteb would not read", () => {
  const [scores] = PUBLISHED_TASK.scores.test;
  const { main_score: _main, ...unscored } = scores!;
  const tasks = [
    { ...PUBLISHED_TASK, scores: { test: [unscored] } },
    { ...PUBLISHED_TASK, scores: { test: [{ ...scores, languages: [] }] } },
    { ...PUBLISHED_TASK, dataset_revision: null },
  ];
  for (const task of tasks) assert.throws(() => mtebTaskSchema.parse(task));
  const { embed_dim: _dimension, ...shapeless } = PUBLISHED_META;
  for (const meta of [shapeless, { ...PUBLISHED_META, name: "nano" }, { ...PUBLISHED_META, budget: 128 }]) {
    assert.throws(() => modelMetaSchema.parse(meta));
  }
});

test("results become a file per dataset and the model's", () => {
  const results = evalResults(
    [datasetResult("SUN397", "image", 1000), datasetResult("ViDoRe_esg_reports_v2_multilingual", "visdoc", 228)],
    { model: "owner/model", dataRevision: "f00d" },
  );
  const files = mtebFiles(results);
  assert.equal(files.length, 3);
  const [sun, esg, meta] = files as [MtebFile, MtebFile, MtebFile];
  const folder = `results/owner__model/${"a".repeat(64)}`;
  assert.deepEqual(
    [sun.path, esg.path, meta.path],
    [
      `${folder}/MMEB-V2-SUN397.json`,
      `${folder}/MMEB-V2-ViDoRe_esg_reports_v2_multilingual.json`,
      `${folder}/model_meta.json`,
    ],
  );
  const task = sun.json as typeof PUBLISHED_TASK & { date: number };
  const { metrics } = results.datasets[0]!;
  assert.deepEqual(task, {
    dataset_revision: "f00d",
    task_name: "MMEB-V2-SUN397",
    mteb_version: null,
    scores: { test: [{ ...metrics, main_score: 0, hf_subset: "default", languages: ["eng-Latn"] }] },
    evaluation_time: null,
    kg_co2_emissions: null,
    // 2026-11-25T21:00:00.250Z, by GNU date.
    date: 1795640400.25,
  });
  const [document] = (esg.json as typeof PUBLISHED_TASK).scores.test;
  // ndcg_linear@5 is metric number 4.
  assert.equal(document?.main_score, 0.04);
  assert.deepEqual(document.languages, ["fra-Latn", "spa-Latn", "eng-Latn", "deu-Latn"]);
  const model = meta.json as typeof PUBLISHED_META;
  assert.deepEqual([model.name, model.revision, model.embed_dim], ["owner/model", "a".repeat(64), 192]);
  assert.equal(model.reference, "https://huggingface.co/owner/model");
});

test("a folder is a local model, and data without a revision are known by their hash", () => {
  const results = evalResults([datasetResult("VOC2007", "image", 10)], { model: "/models/my nano" });
  const [task, meta] = mtebFiles(results) as [MtebFile, MtebFile];
  assert.equal(task.path, `results/local__my_nano/${"a".repeat(64)}/MMEB-V2-VOC2007.json`);
  assert.equal((task.json as typeof PUBLISHED_TASK).dataset_revision, `sha256:${"d".repeat(64)}`);
  const { name, reference } = meta.json as typeof PUBLISHED_META;
  assert.deepEqual([name, reference], ["local/my nano", null]);
});

test("no name leaves its folder or shares its file with another", () => {
  const dataset = datasetResult("../../etc/x", "image", 10);
  const provenance = { model: "C:\\models\\..", modelHash: "../.." };
  for (const { path } of mtebFiles(evalResults([dataset], provenance))) {
    const parts = path.split("/");
    assert.equal(parts.length, 4, path);
    for (const part of parts) assert.match(part, /^[\w-]([\w.-]*[\w-])?$/, path);
  }
  const twins = ["a b", "a/b"].map((name) => datasetResult(name, "image", 10));
  assert.throws(() => mtebFiles(evalResults(twins)), /internal: datasets share a file/);
});

test("a benchmark's tasks are told from others of the same name", () => {
  const results = evalResults([datasetResult("Count", "image", 10)]);
  const path = (benchmark: typeof results.benchmark) =>
    mtebFiles({ ...results, benchmark })[0]
      ?.path.split("/")
      .at(-1);
  assert.deepEqual([path("mmeb"), path("scenes")], ["MMEB-Count.json", "Scenes-Count.json"]);
});

test("a dataset without its main metric is refused by name", () => {
  const dataset = { ...datasetResult("Count", "image", 10), metrics: { "hit@5": 1 } };
  assert.throws(() => mtebFiles(evalResults([dataset])), /internal: .*Count.*main_score/s);
});
