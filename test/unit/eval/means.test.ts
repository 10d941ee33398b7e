import assert from "node:assert/strict";
import { test } from "node:test";
import { meansOf } from "../../../src/eval/means.ts";

test("means count datasets, not queries and not meta-tasks", () => {
  // By hand: overall (1 + 0 + 0 + 0.5) / 4; IND (1 + 0 + 0) / 3.
  const datasets = [
    { metaTask: "vqa", ood: false, p1: 1 },
    { metaTask: "vqa", ood: false, p1: 0 },
    { metaTask: "vqa", ood: false, p1: 0 },
    { metaTask: "grounding", ood: true, p1: 0.5 },
  ];
  const { overall, ind, ood, metaTasks } = meansOf(datasets, ({ p1 }) => p1);
  assert.equal(overall, 0.375);
  assert.equal(ind, 1 / 3);
  assert.equal(ood, 0.5);
  assert.deepEqual(metaTasks, { vqa: 1 / 3, grounding: 0.5 });
});

test("a group without datasets has no mean", () => {
  assert.deepEqual(
    meansOf([{ metaTask: "vqa", ood: true, p1: 1 }], ({ p1 }) => p1),
    {
      overall: 1,
      ood: 1,
      metaTasks: { vqa: 1 },
    },
  );
});
