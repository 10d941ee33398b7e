/** `rge rationales`: a training set gets rationales from a larger model that sees the answers. */
import type { Command } from "../command.ts";
import { rationalesPlan } from "../rationales-plan.ts";

const MORE = String.raw`
Rows (--input), in MMEB-train's fields; an image path is relative to the image root, "" is none:
  {"qry": "<|image_1|>\nWhat animal is it?", "qry_image_path": "images/1.jpg", "pos_text": "a cat", "pos_image_path": ""}

Accepted rows (--output), in the order of the input, are the input's own fields (of parquet those above, negatives too) and
  {..., "rationale": "The image shows ...", "row": 17, "hash": "9f86d081884c7d65", "model": "NAME"}
so that the file can be trained on as it is. Rows that got no answer are in neither file; --resume asks for them again,
and they then stand at the end.

Rejected rows (--rejects) say why, and what the model wrote or what is wrong with the row:
  empty            nothing was written
  cut-off          the tokens ran out (--max-tokens)
  too-long         more words than --max-words
  mentions-target  speaks of the target, or of an answer as given
  copies-answer    a short answer stands before the final clause
  unusable         the row itself: no query, an image that is not there or larger than 4 MiB, ...
--resume leaves them rejected, but for unusable rows that have been mended.

The key of the engine is taken from RGE_ENGINE_KEY or OPENAI_API_KEY. Pictures and texts of the rows are sent to --engine.

Examples:
  $ rge rationales --engine http://localhost:8000/v1 --model Qwen/Qwen2.5-VL-72B-Instruct --input train.jsonl --output train.rationales.jsonl
  rationales [########............]   41%  410 / 1,000  7.9/s  1m 15s left
  rge: 963 of 1,000 rows accepted in 2m 07s; 37 rejected (21 copies-answer, 12 too-long, 4 mentions-target), in train.rationales.rejects.jsonl
`;

/** Writes oracle rationales. */
export const command: Command = {
  usage: ["rationales --engine URL --model NAME --input train.jsonl|train.parquet --output train.rationales.jsonl"],
  about:
    "Writes oracle rationales for a training set: a larger multimodal model behind a chat endpoint (vLLM, SGLang or a hosted one) sees each query with its target and writes the reasoning that leads from the one to the other. Rationales that give the target away are kept apart.",
  groups: [
    {
      title: "Engine",
      options: [
        { name: "engine", value: "URL", help: "OpenAI-compatible endpoint, with or without /v1. Required." },
        { name: "model", value: "NAME", help: "The name that the engine knows its model by. Required." },
        { name: "concurrency", value: "N", help: "Requests at a time. [8]" },
        { name: "timeout-ms", value: "N", help: "Longest time for one answer, at most 300000. [120000]" },
        {
          name: "max-retries",
          value: "N",
          help: "Further tries where the engine is busy, fails, breaks off or answers nonsense. [5]",
        },
      ],
    },
    {
      title: "Rows",
      options: [
        { name: "input", value: "FILE", help: "Training rows as JSONL or parquet. Required." },
        { name: "output", value: "FILE", help: "Rows with their rationales as JSONL, written as they come. Required." },
        { name: "rejects", value: "FILE", help: "Rows without one. [the output's name with .rejects.jsonl]" },
        { name: "image-root", value: "DIR", help: "What image paths are relative to. [the input's folder]" },
        { name: "limit", value: "N", help: "Takes so many rows from the start. [all]" },
        { name: "resume", help: "Go on with the files that an earlier run left: asks only for what is missing." },
        { name: "force", help: "Replace files that are there, rather than refuse." },
      ],
    },
    {
      title: "Rationales",
      options: [
        { name: "prompt", value: "FILE", help: "Other instructions; {maxWords} stands for --max-words. [built in]" },
        { name: "max-words", value: "N", help: "Longest rationale that is accepted. [100]" },
        { name: "max-tokens", value: "N", help: "Most tokens that the model writes. [128]" },
        { name: "temperature", value: "T", help: "0 takes the likeliest token. [0]" },
      ],
    },
  ],
  more: MORE,
  run: async (args, context) => {
    const plan = rationalesPlan(args);
    return (await import("../write-rationales.ts")).writeRationales(plan, { ...context, json: args.has("json") });
  },
};
