import assert from "node:assert/strict";
import { test } from "node:test";
import { LEADERBOARD_DATASETS, leaderboardOf, leaderboardSchema, modelName } from "../../../src/eval/leaderboard.ts";
import { MMEB_V2 } from "../../../src/eval/mmeb.ts";
import { datasetResult, evalResults } from "./eval-results.ts";

/** What the leaderboard has of Qwen3-VL-Embedding-8B, cut to a dataset of each kind. */
const PUBLISHED = {
  metadata: {
    model_name: "Qwen3-VL-Embedding-8B",
    model_backbone: "qwen3vl",
    model_size: 8.14,
    embedding_dimension: 4096,
    max_length_tokens: 32768,
    model_release_date: "2026-01-08",
    data_source: "Self-Reported",
    url: "https://huggingface.co/Qwen/Qwen3-VL-Embedding-8B",
    report_generated_date: "2026-01-06T15:18:12.733345",
  },
  metrics: {
    image: {
      N24News: {
        "hit@1": 0.806,
        "hit@5": 0.977,
        "hit@10": 0.996,
        "ndcg_linear@1": 0.806,
        "ndcg_linear@5": 0.9035585441321389,
        "ndcg_linear@10": 0.909690622492979,
        "ndcg_exponential@1": 0.806,
        "ndcg_exponential@5": 0.9035585441321389,
        "ndcg_exponential@10": 0.909690622492979,
        "precision@1": 0.806,
        "precision@5": 0.19540000000000005,
        "precision@10": 0.09960000000000002,
        "recall@1": 0.806,
        "recall@5": 0.977,
        "recall@10": 0.996,
        "f1@1": 0.806,
        "f1@5": 0.32566666666666666,
        "f1@10": 0.18109090909090905,
        "map@1": 0.806,
        "map@5": 0.8785666666666667,
        "map@10": 0.8810908730158731,
        "mrr@1": 0.806,
        "mrr@5": 0.8785666666666667,
        "mrr@10": 0.8810908730158731,
        num_pred: 1000,
        num_data: 1000,
      },
    },
    video: {
      MomentSeeker: {
        "hit@1": 0.5493133583021224,
        "hit@5": 0.9550561797752809,
        "hit@10": 1.0,
        "ndcg_linear@1": 0.5493133583021224,
        "ndcg_linear@5": 0.7699038117750197,
        "ndcg_linear@10": 0.7892028480484701,
        "ndcg_exponential@1": 0.5493133583021224,
        "ndcg_exponential@5": 0.7699038117750197,
        "ndcg_exponential@10": 0.7892028480484701,
        "precision@1": 0.5493133583021224,
        "precision@5": 0.21373283395755308,
        "precision@10": 0.11454431960049938,
        "recall@1": 0.5126144402829795,
        "recall@5": 0.9433000416146483,
        "recall@10": 0.9986735330836455,
        "f1@1": 0.5241830648197688,
        "f1@5": 0.34245359994423674,
        "f1@10": 0.20258063305816112,
        "map@1": 0.5493133583021224,
        "map@5": 0.7061072964350118,
        "map@10": 0.7160817703069575,
        "mrr@1": 0.5493133583021224,
        "mrr@5": 0.7161152725759468,
        "mrr@10": 0.7223604423042626,
        num_pred: 1602,
        num_data: 1602,
      },
    },
    visdoc: {
      "ViDoSeek-page-fixed": {
        "hit@1": 0.7828371278458844,
        "hit@5": 0.9614711033274956,
        "hit@10": 0.9851138353765324,
        "ndcg_linear@1": 0.7828371278458844,
        "ndcg_linear@5": 0.883823438018614,
        "ndcg_linear@10": 0.8915735091786773,
        "ndcg_exponential@1": 0.7828371278458844,
        "ndcg_exponential@5": 0.883823438018614,
        "ndcg_exponential@10": 0.8915735091786773,
        "precision@1": 0.7828371278458844,
        "precision@5": 0.1922942206654991,
        "precision@10": 0.09851138353765322,
        "recall@1": 0.7828371278458844,
        "recall@5": 0.9614711033274956,
        "recall@10": 0.9851138353765324,
        "f1@1": 0.7828371278458844,
        "f1@5": 0.32049036777583195,
        "f1@10": 0.17911160643209684,
        "map@1": 0.7828371278458844,
        "map@5": 0.8574576765907764,
        "map@10": 0.8607115058516109,
        "mrr@1": 0.7828371278458844,
        "mrr@5": 0.8574576765907764,
        "mrr@10": 0.8607115058516109,
        num_pred: 1142,
        num_data: 1142,
      },
    },
  },
};

test("the schema takes what the leaderboard has published", () => {
  assert.deepEqual(leaderboardSchema.parse(PUBLISHED), PUBLISHED);
});

test("the schema refuses a missing metric, a percentage, an unknown dataset, a wrong modality and a missing field", () => {
  const { image } = PUBLISHED.metrics;
  const { "hit@1": _hit, ...incomplete } = image.N24News;
  const { url: _url, ...nowhere } = PUBLISHED.metadata;
  const metrics = [
    { ...PUBLISHED.metrics, image: { N24News: incomplete } },
    { ...PUBLISHED.metrics, image: { N24News: { ...image.N24News, "hit@1": 80.6 } } },
    { ...PUBLISHED.metrics, image: { N25News: image.N24News } },
    { ...PUBLISHED.metrics, video: image },
    { image },
  ];
  for (const wrong of metrics) assert.throws(() => leaderboardSchema.parse({ ...PUBLISHED, metrics: wrong }));
  assert.throws(() => leaderboardSchema.parse({ ...PUBLISHED, metadata: nowhere }));
});

test("the leaderboard has a place for each of MMEB-V2's 78 datasets", () => {
  const { image, video, visdoc } = LEADERBOARD_DATASETS;
  assert.deepEqual([image.length, video.length, visdoc.length], [36, 18, 24]);
  const { metrics } = leaderboardOf(
    evalResults(MMEB_V2.map(({ name, modality }) => datasetResult(name, modality, 10))),
  );
  for (const modality of ["image", "video", "visdoc"] as const) {
    assert.deepEqual(Object.keys(metrics[modality]).sort(), LEADERBOARD_DATASETS[modality].toSorted());
  }
});

test("results become the leaderboard's file, each dataset under its name and modality", () => {
  const datasets = [
    datasetResult("N24News", "image", 1000),
    datasetResult("MSR-VTT", "video", 999),
    datasetResult("ViDoSeek-page", "visdoc", 1142),
    datasetResult("MMLongBench-page", "visdoc", 838),
    datasetResult("ViDoSeek-doc", "visdoc", 1142),
    datasetResult("VisDial", "image", 7),
  ];
  const { metadata, metrics } = leaderboardOf(evalResults(datasets, { model: "Qwen/Qwen3-VL-Embedding-8B@main" }));
  assert.deepEqual(metadata, {
    model_name: "Qwen3-VL-Embedding-8B",
    model_backbone: null,
    model_size: null,
    embedding_dimension: 192,
    max_length_tokens: null,
    model_release_date: null,
    data_source: "Self-Reported",
    url: "https://huggingface.co/Qwen/Qwen3-VL-Embedding-8B",
    report_generated_date: "2026-11-25T21:00:00.250",
  });
  assert.deepEqual(Object.keys(metadata), Object.keys(PUBLISHED.metadata));
  assert.deepEqual(Object.keys(metrics.image), ["N24News", "VisDial"]);
  assert.deepEqual(Object.keys(metrics.video), ["MSR-VTT"]);
  assert.deepEqual(Object.keys(metrics.visdoc), ["ViDoSeek-page-fixed", "MMLongBench-page-fixed", "ViDoSeek-doc"]);
  const row = metrics.image["VisDial"]!;
  assert.deepEqual(Object.keys(row), Object.keys(PUBLISHED.metrics.image.N24News));
  // By their place among the published keys: hit@1 is number 0, ndcg_linear@5 number 4, mrr@10 number 23.
  assert.deepEqual([row["hit@1"], row["ndcg_linear@5"], row["mrr@10"]], [0, 0.04, 0.23]);
  assert.deepEqual([row["num_pred"], row["num_data"]], [7, 7]);
});

test("a modality without datasets is there and empty", () => {
  const { metrics } = leaderboardOf(evalResults([datasetResult("N24News", "image", 1000)]));
  assert.deepEqual([metrics.video, metrics.visdoc], [{}, {}]);
});

test("what results do not say of the model can be given", () => {
  const about = { model_backbone: "qwen2_5_vl", model_size: 3.75, model_release_date: "2025-11-20" };
  const { metadata } = leaderboardOf(evalResults([]), about);
  assert.equal(metadata.model_name, "nano");
  assert.equal(metadata.url, null);
  assert.deepEqual(
    [metadata.model_backbone, metadata.model_size, metadata.model_release_date],
    ["qwen2_5_vl", 3.75, "2025-11-20"],
  );
});

test("datasets of other benchmarks and missing metrics are refused by name", () => {
  assert.throws(() => leaderboardOf(evalResults([datasetResult("TwoHop", "image", 10)])), /internal: .*TwoHop/s);
  const { "f1@5": _f1, ...metrics } = datasetResult("N24News", "image", 10).metrics;
  const results = evalResults([{ ...datasetResult("N24News", "image", 10), metrics }]);
  assert.throws(() => leaderboardOf(results), /internal: .*f1@5/s);
});

test("a model's name is the hub's, or a folder's own", () => {
  assert.deepEqual(modelName("Qwen/Qwen3-VL-Embedding-8B"), { organization: "Qwen", name: "Qwen3-VL-Embedding-8B" });
  assert.deepEqual(modelName("owner/model.v2@refs/pr/3"), { organization: "owner", name: "model.v2" });
  for (const folder of ["nano", "/work/models/nano", "./models/nano", "../nano/", "a/b/nano"]) {
    assert.deepEqual(modelName(folder), { organization: "local", name: "nano" }, folder);
  }
});
