/** `rge eval ablate`: what reasoning, its budget and precision are worth. */
import type { Command } from "../command.ts";
import { EVAL_DATA_OPTIONS, EVAL_MODEL_OPTIONS, EVAL_SETTING_OPTIONS } from "../eval-options.ts";

const MORE = String.raw`
One line a variant:
  direct, budget N            without a rationale, and with one of at most N tokens
  known rationales            after those of --rationales, which are read and not written
  X writes, Y reads           rationales written with weights X at the highest budget, then read with weights Y as the
                              targets are: "int4 writes, fp32 reads" is what decoding drifts, "fp32 writes, int4 reads"
                              what reading out does, "int4 writes, int4 reads" both
Cosine is of queries' embeddings to those of "fp32 writes, fp32 reads", same the share of equal rationales; tokens and cut
are of what was written in the variant itself.

--out keeps embeddings as they come: stopped at any moment, the same command goes on. ablation.json has every
dataset, ablation.html draws the curve.

Examples:
  $ rge eval ablate --data scenes --out runs/ablation --limit 50
  $ rge eval ablate --data MMEB-eval --model owner/rge-3b --out runs/ablation --budgets 0,32,128 --formats int8
  $ rge eval ablate --data scenes --out runs/oracle --budgets 0,64 --formats none --rationales oracle
`;

/** Runs an ablation. */
export const command: Command = {
  usage: ["eval ablate --data DIR --model M --out DIR"],
  about:
    "Measures one model in several ways on the same data: direct against reasoned, the curve over budgets of reasoning, rationales from elsewhere, and what quantised weights lose when they write and when they read.",
  groups: [
    { title: "Model", options: EVAL_MODEL_OPTIONS.filter(({ name }) => name !== "weights") },
    { title: "Data", options: EVAL_DATA_OPTIONS },
    {
      title: "Variants",
      options: [
        {
          name: "budgets",
          value: "N,N",
          help: "Tokens that a rationale may have, 0 for none. [0,16,32,64 and --max-new-tokens]",
        },
        {
          name: "formats",
          value: "T,T",
          help: "Quantised weights that are compared with fp32: int8, int4, or none. [int8,int4]",
        },
        {
          name: "rationales",
          value: "FROM",
          help: "Rationales to be read: a folder that rge eval mmeb wrote, a JSONL file with dataset, place and rationale, or oracle for the rows' own.",
        },
      ],
    },
    { title: "Embedding", options: EVAL_SETTING_OPTIONS },
    {
      title: "Run",
      options: [
        { name: "out", value: "DIR", help: "Where figures go, and from where a stopped run goes on. Required." },
      ],
    },
  ],
  more: MORE,
  run: async (args, context) => (await import("../run-eval-ablate.ts")).runEvalAblate(args, context),
};
