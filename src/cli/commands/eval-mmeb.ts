/** `rge eval mmeb`: measures a model on MMEB, in the reference's manner. */
import type { Command } from "../command.ts";
import { EVAL_DATA_OPTIONS, EVAL_MODEL_OPTIONS, EVAL_SETTING_OPTIONS } from "../eval-options.ts";

const MORE = String.raw`
The data: a folder for each dataset, named as in MMEB, with parquet or JSONL files in MMEB-eval's fields (qry_text,
qry_img_path, tgt_text, tgt_img_path; or the newer ones with qry_inst and tgt_inst). MMEB-V2's image-tasks, video-tasks
and visdoc-tasks make it a V2 run of 78 tasks; frames of videos are taken by ffmpeg where there are none. A folder that
rge scenes wrote is measured the same way.

Texts: value_map, original and replacement, prefix_add, suffix_add of the dataset's rule, in this order; then a line
break if there is none; then <|image_1|> becomes the model's own mark, or goes where the row names no picture. The
numbers that a checkpoint's authors publish need their rules; a rule that changes nothing is told.

--out keeps every embedding as soon as its batch is done, under a key of checkpoint, text, picture, bounds, decoding and
version. Stopped at any moment, the same command goes on; another checkpoint in the same folder shares nothing with the
first, whose results are put aside. It ends up with results.json, report.html, queries/*.jsonl, scores/*.json for the
MMEB leaderboard and mteb/ in MTEB's form.

Several processes can share the work: run each with --shard 1/4, 2/4, ... on the same --out (or copy the embeddings
folders into one), then once without --shard.

Examples:
  $ rge eval mmeb --data MMEB-eval --model owner/rge-3b --out runs/rge --query-rules queries.yaml --target-rules targets.yaml
  $ rge eval mmeb --data MMEB-eval --model owner/rge-3b --out runs/rge --datasets ChartQA,RefCOCO --limit 100
  $ rge eval mmeb --data scenes --out runs/scenes
  $ rge eval compare runs/direct runs/rge
`;

/** Evaluates a model. */
export const command: Command = {
  usage: ["eval mmeb --data DIR --model M --query-rules FILE --target-rules FILE --out DIR"],
  about:
    "Measures a model on MMEB's image datasets as RGE's evaluation does: precision@1 and the leaderboard's metrics, means by meta-task, in and out of distribution and overall with bootstrap intervals, and a report with every query.",
  groups: [
    { title: "Model", options: EVAL_MODEL_OPTIONS },
    { title: "Data", options: EVAL_DATA_OPTIONS },
    { title: "Embedding", options: EVAL_SETTING_OPTIONS },
    {
      title: "Run",
      options: [
        { name: "out", value: "DIR", help: "Where results go, and from where a stopped run goes on. Required." },
        { name: "shard", value: "K/N", help: "Embeds the K-th of N parts of the work and scores nothing." },
      ],
    },
  ],
  more: MORE,
  run: async (args, context) => (await import("../run-eval-mmeb.ts")).runEvalMmeb(args, context),
};
