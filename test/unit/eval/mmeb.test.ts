import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VIDEO_DATASETS } from "../../../src/dataset/video-datasets.ts";
import { MMEB, MMEB_V2 } from "../../../src/eval/mmeb.ts";
import { PUBLISHED_MMEB, PUBLISHED_MMEB_V2 } from "../../../src/eval/published.ts";
import type { BenchmarkDataset } from "../../../src/eval/types.ts";

/** How many datasets have a value of a field. */
function countsOf(datasets: readonly BenchmarkDataset[], field: keyof BenchmarkDataset): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const dataset of datasets) counts[String(dataset[field])] = (counts[String(dataset[field])] ?? 0) + 1;
  return counts;
}

const META_TASKS = { classification: 10, vqa: 10, retrieval: 12, grounding: 4 };

describe("MMEB", () => {
  test("has 36 datasets of images in four meta-tasks, 20 in and 16 out of distribution", () => {
    assert.equal(new Set(MMEB.map(({ name }) => name)).size, 36);
    assert.deepEqual(countsOf(MMEB, "metaTask"), META_TASKS);
    assert.deepEqual(countsOf(MMEB, "ood"), { false: 20, true: 16 });
    assert.deepEqual(countsOf(MMEB, "metric"), { "hit@1": 36 });
    assert.deepEqual(countsOf(MMEB, "modality"), { image: 36 });
  });

  test("knows the datasets that are out of distribution", () => {
    const ood = MMEB.filter((dataset) => dataset.ood).map(({ name }) => name);
    assert.deepEqual(
      ood.sort(),
      (
        "Country211 EDIS FashionIQ GQA ImageNet-A ImageNet-R OVEN ObjectNet Place365 RefCOCO RefCOCO-Matching " +
        "ScienceQA TextVQA Visual7W-Pointing VizWiz Wiki-SS-NQ"
      ).split(" "),
    );
  });
});

describe("MMEB-V2", () => {
  test("has 78 datasets: 36 of images, 18 of videos, 24 of documents, which NDCG measures", () => {
    assert.equal(new Set(MMEB_V2.map(({ name }) => name)).size, 78);
    assert.deepEqual(countsOf(MMEB_V2, "modality"), { image: 36, video: 18, visdoc: 24 });
    assert.deepEqual(countsOf(MMEB_V2, "metric"), { "hit@1": 54, "ndcg_linear@5": 24 });
    assert.deepEqual(MMEB_V2.slice(0, 36), MMEB);
    assert.deepEqual(countsOf(MMEB_V2.slice(36), "metaTask"), {
      "video-classification": 5,
      "video-qa": 5,
      "video-retrieval": 5,
      "moment-retrieval": 3,
      "vidore-v1": 10,
      "vidore-v2": 4,
      visrag: 6,
      "visdoc-ood": 4,
    });
  });

  test("has a reader for each dataset of videos", () => {
    const videos = MMEB_V2.filter(({ modality }) => modality === "video").map(({ name }) => name);
    assert.deepEqual(videos.sort(), Object.keys(VIDEO_DATASETS).sort());
  });

  test("names documents without the ending of repaired releases", () => {
    assert.deepEqual(
      MMEB_V2.filter(({ name }) => name.endsWith("-fixed")),
      [],
    );
  });
});

describe("published figures", () => {
  /** Figures are printed to a tenth, so a mean of them is off by half a tenth, as its own rounding is. */
  const ROUNDING = 0.1 + 1e-9;

  test("on MMEB are means over datasets, not over meta-tasks", () => {
    let checked = 0;
    for (const { system, metaTasks, ind, ood, overall } of PUBLISHED_MMEB) {
      if (metaTasks === undefined || ind === undefined || ood === undefined) continue;
      const { classification, vqa, retrieval, grounding } = metaTasks;
      const byMetaTask = (10 * classification + 10 * vqa + 12 * retrieval + 4 * grounding) / 36;
      assert.ok(Math.abs(byMetaTask - overall) <= ROUNDING, `${system}: ${byMetaTask} by meta-tasks`);
      assert.ok(Math.abs((20 * ind + 16 * ood) / 36 - overall) <= ROUNDING, `${system}: in and out of distribution`);
      checked++;
    }
    assert.equal(checked, 4);
  });

  test("on MMEB-V2 are means over datasets, not over modalities", () => {
    const [qwen] = PUBLISHED_MMEB_V2.filter(({ modalities }) => modalities !== undefined);
    const { image, video, visdoc } = qwen!.modalities!;
    assert.ok(Math.abs((36 * image + 18 * video + 24 * visdoc) / 78 - qwen!.overall) <= ROUNDING);
  });

  test("name their systems once, with where they were read, the best first", () => {
    for (const rows of [PUBLISHED_MMEB, PUBLISHED_MMEB_V2]) {
      assert.equal(new Set(rows.map(({ system }) => system)).size, rows.length);
      for (const { overall, source } of rows) assert.ok(overall > 0 && overall < 100 && source !== "");
    }
    const overall = PUBLISHED_MMEB_V2.map((row) => row.overall);
    assert.deepEqual(
      overall,
      overall.toSorted((a, b) => b - a),
    );
  });

  test("give RGE the gain over its baseline that is reported", () => {
    const [rge, baseline] = PUBLISHED_MMEB;
    assert.equal(rge!.system, "RGE 3B");
    assert.equal((rge!.overall - baseline!.overall).toFixed(1), "4.9");
  });
});
