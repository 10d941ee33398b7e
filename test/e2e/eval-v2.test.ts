/** `rge eval mmeb` on MMEB-V2's layout: pictures, documents and videos in one run. */
import assert from "node:assert/strict";
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { EvalResults } from "../../src/eval/types.ts";
import { CHECKPOINT, parseLines, runCli, temporaryFolder } from "../support/run-cli.ts";

const SAMPLE = fileURLToPath(new URL("../fixtures/mmeb/", import.meta.url));
const root = temporaryFolder();
const data = join(root, "MMEB-V2");

function write(path: string, content: string | readonly object[]): void {
  mkdirSync(join(data, dirname(path)), { recursive: true });
  const text = typeof content === "string" ? content : content.map((row) => `${JSON.stringify(row)}\n`).join("");
  writeFileSync(join(data, path), text);
}

function copy(picture: string, path: string): void {
  mkdirSync(join(data, dirname(path)), { recursive: true });
  cpSync(join(SAMPLE, "images", picture), join(data, path));
}

test("all three kinds are measured by their own metrics, and the leaderboard's file has them", async () => {
  cpSync(join(SAMPLE, "RefCOCO"), join(data, "image-tasks/RefCOCO"), { recursive: true });
  cpSync(join(SAMPLE, "images"), join(data, "image-tasks/images"), { recursive: true });

  const pages = join("visdoc-tasks", "ViDoRe_arxivqa");
  for (const page of ["00", "02", "05"]) copy(`${page}.png`, join(pages, `images/${page}.png`));
  write(
    join(pages, "corpus.jsonl"),
    ["00", "02", "05"].map((page) => ({ "corpus-id": page, image: `images/${page}.png` })),
  );
  write(join(pages, "queries.jsonl"), [
    { "query-id": "q1", query: "Which one?" },
    { "query-id": "q2", query: "And which other one?" },
  ]);
  write(join(pages, "qrels.jsonl"), [
    { "query-id": "q1", "corpus-id": "00", score: 1 },
    { "query-id": "q2", "corpus-id": "02", score: 1 },
    { "query-id": "q2", "corpus-id": "05", score: 1 },
  ]);

  write(join("video-tasks", "data", "msvd.jsonl"), [
    { video_id: "v1", video: "v1.avi", caption: ["a dog runs"] },
    { video_id: "v2", video: "v2.avi", caption: ["a cat sleeps"] },
  ]);
  const frames = join("video-tasks", "frames", "video_ret", "MSVD");
  for (const [video, pictures] of [
    ["v1", ["07", "10"]],
    ["v2", ["12", "02"]],
  ] as const)
    pictures.forEach((picture, i) => copy(`${picture}.png`, join(frames, video, `${i}.png`)));

  const out = join(root, "out");
  const fast = ["--min-pixels", "3136", "--max-pixels", "12544", "--max-new-tokens", "4"];
  const run = await runCli(["eval", "mmeb", "--data", data, "--model", CHECKPOINT, "--out", out, ...fast]);
  assert.equal(run.status, 0, run.stderr);
  const { benchmark, datasets, means } = JSON.parse(readFileSync(join(out, "results.json"), "utf8")) as EvalResults;
  assert.equal(benchmark, "mmeb-v2");
  assert.deepEqual(
    datasets.map(({ name, modality, metric, queries, targets }) => [name, modality, metric, queries, targets]),
    [
      ["RefCOCO", "image", "hit@1", 5, 13],
      ["MSVD", "video", "hit@1", 2, 2],
      ["ViDoRe_arxivqa", "visdoc", "ndcg_linear@5", 2, 3],
    ],
  );
  assert.match(run.stderr, /the data has 3 of the benchmark's 78 datasets/);
  // The overall figure is the mean of three main metrics of two kinds.
  const values = datasets.map(({ metrics, metric }) => metrics[metric]!);
  assert.ok(Math.abs(means.overall.value - values.reduce((sum, value) => sum + value, 0) / 3) < 1e-12);
  assert.deepEqual(Object.keys(means.modalities), ["image", "video", "visdoc"]);
  // Of two right pages and three in all, NDCG@5 by hand from the order in the record.
  const [, second] = parseLines(readFileSync(join(out, "queries/ViDoRe_arxivqa.jsonl"), "utf8"));
  const grades = (second!["top"] as { grade: number }[]).map(({ grade }) => grade);
  const gain = grades.reduce((sum, grade, i) => sum + grade / Math.log2(i + 2), 0);
  assert.ok(Math.abs((second!["value"] as number) - gain / (1 + 1 / Math.log2(3))) < 1e-12);
  const [scores] = globSync("scores/*.json", { cwd: out });
  const board = JSON.parse(readFileSync(join(out, scores!), "utf8")) as { metrics: Record<string, object> };
  assert.deepEqual(Object.keys(board.metrics["video"]!), ["MSVD"]);
});
