/** `rge eval compare`: two runs on the same queries. */
import type { Command } from "../command.ts";

const MORE = String.raw`
Of each dataset both have: the main metric of A and of B, their difference with its bootstrap interval over queries, the
chance p of such a difference if the runs were alike (McNemar's exact test where a query is right or wrong, sign flips
where it has a grade), and how many queries B gains and loses. Means count datasets alike; their p is of sign flips.

Examples:
  $ rge eval compare runs/direct runs/reasoned
  $ rge eval compare runs/fp32 runs/int4 --json
`;

/** Compares two runs. */
export const command: Command = {
  usage: ["eval compare A B"],
  about:
    "Compares two runs of `rge eval mmeb` query by query: differences with intervals, and whether chance could do it.",
  groups: [],
  more: MORE,
  run: async (args, context) => (await import("../run-eval-compare.ts")).runEvalCompare(args, context),
};
