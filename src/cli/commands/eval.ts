/** `rge eval`: measures a model on Scenes. */
import type { Command } from "../command.ts";
import { EVAL_MODEL_OPTIONS } from "../eval-options.ts";

const MORE = String.raw`
The table: P@1 is the share of queries whose right candidate has the highest cosine. Oracle is the share of rationales
that say what the oracle's says, in whatever words; cut the share that the budget cut off. Means count datasets, not
queries.

--output writes the same as JSON with the model's hash, machine and time; --queries every query at the last budget,
with its rationale and scores, one JSON object per line.

Examples:
  $ rge scenes --out scenes --train 0
  $ rge eval --data scenes --model runs/first/model
  $ rge eval --data scenes --model runs/first/model --budgets 0,8,16,32,64 --output curve.json
  $ rge eval --data scenes --model runs/first/model --budgets oracle --datasets TwoHop,ThreeHop
`;

/** Evaluates a model. */
export const command: Command = {
  usage: ["eval --data DIR --model M [--budgets 64]"],
  about:
    "Measures a model on Scenes (a folder that `rge scenes` wrote): precision@1 of each dataset and its means by meta-task, in and out of distribution, with queries embedded after rationales of at most so many tokens.",
  groups: [
    { title: "Model", options: EVAL_MODEL_OPTIONS },
    {
      title: "Measurement",
      options: [
        { name: "data", value: "DIR", help: "The folder of Scenes. Required." },
        {
          name: "budgets",
          value: "N,N",
          help: "Tokens that a rationale may have, several to compare: 0 embeds directly, oracle reads the oracle's. [64]",
        },
        { name: "datasets", value: "A,B", help: "Only these. [all]" },
        { name: "limit", value: "N", help: "Queries of each dataset, from the first. [all]" },
        { name: "output", value: "FILE", help: "Writes the figures as JSON." },
        { name: "queries", value: "FILE", help: "Writes every query as JSONL." },
      ],
    },
  ],
  more: MORE,
  run: async (args, context) => (await import("../run-eval.ts")).runEval(args, context),
};
