/** `rge scenes`: writes the benchmark. */
import type { Command } from "../command.ts";

const MORE = String.raw`
What is written, in MMEB's layout; image paths are relative to --out:
  train/NAME.jsonl    qry, qry_image_path, pos_text, pos_image_path, neg_text, neg_image_path, rationale
  eval/NAME/*.parquet qry_text, qry_img_path, tgt_text, tgt_img_path (the right candidate first), rationale
  images/             PNG, 84 by 84 pixels; crops 28 by 28
  scenes.json         seed, counts, the datasets with their meta-tasks
  preview.html        with --preview

The same options give the same files. No content of an evaluation picture occurs in a training picture, whatever the
seeds and counts: a hash of its content decides which side a scene belongs to.

Examples:
  $ rge scenes --out scenes --train 12000 --eval 500 --preview
  scenes [##########..........]  52%  106,500 / 205,500  1,020/s  1m 37s left  train/ImageToCaption
  $ rge eval --data scenes --model runs/first/model
`;

/** Writes Scenes. */
export const command: Command = {
  usage: ["scenes --out DIR [--train N] [--eval N] [--seed S] [--preview]"],
  about:
    "Writes Scenes, a benchmark of small drawn pictures with known contents: 28 datasets over MMEB's four meta-tasks, 17 to train on and 11 for evaluation only (looks, relations, wordings and one more step that training never shows), each row with a rationale that follows from the query.",
  groups: [
    {
      title: "What is written",
      options: [
        { name: "out", value: "DIR", help: "The folder that is made. Required." },
        { name: "train", value: "N", help: "Rows of each training dataset; 0 writes none. [2000]" },
        { name: "eval", value: "N", help: "Queries of each evaluation dataset; 0 writes none. [500]" },
        { name: "seed", value: "S", help: "Of every random choice. [0]" },
        { name: "preview", help: "A page with rows of every dataset, to look at." },
        { name: "force", help: "Replace a folder that is there." },
      ],
    },
  ],
  more: MORE,
  run: async (args, context) => (await import("../write-scenes.ts")).runScenes(args, context),
};
