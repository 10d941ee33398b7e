/** `rge search`: asks a collection. */
import type { Command } from "../command.ts";
import { modelOptions } from "../model-options.ts";
import { STORE_OPTION } from "../open-store.ts";

const MORE = String.raw`
--where has conditions on metadata as JSON: {"year": {"gte": 1990}, "kind": {"in": ["a", "b"]}, "flag": true}; the
operators are eq, ne, in, lt, lte, gt, gte, and all conditions hold.

The model reasons before it embeds the query: always (reason), never (direct), or where the best two direct hits are
close (auto). How close is learnt by \`rge collections calibrate\`, which also makes --least-chance possible.

Examples:
  $ rge search --collection holidays "a red boat at sunset"
  $ rge search --collection shop --image shoe.jpg "the same in blue" --mode reason
  $ rge search --collection shop --image shoe.jpg --where '{"price": {"lt": 50}}' --json
`;

/** Asks a collection. */
export const command: Command = {
  usage: ["search --collection NAME [TEXT] [--image FILE]"],
  about:
    "Finds the items of a collection that words, a picture or both ask for, and tells the rationale that led there.",
  groups: [
    {
      title: "Query",
      options: [
        { name: "collection", value: "NAME", help: "Where to look. Required." },
        STORE_OPTION,
        { name: "image", value: "FILE", help: "A picture to ask with." },
        { name: "instruction", value: "T", help: "Put before the text." },
        { name: "mode", value: "M", help: "Whether to reason: auto, reason or direct. [auto]" },
        {
          name: "words",
          value: "W",
          help: "Searched for in captions and file names as well; both rankings are joined.",
        },
        { name: "where", value: "JSON", help: "Conditions on metadata." },
        { name: "limit", value: "N", help: "Most items. [10]" },
        {
          name: "least-chance",
          value: "P",
          help: "Leaves out what is less likely right, 0 to 1; needs a calibration.",
        },
        { name: "rerank", value: "K", help: "Has the model judge the best K, yes or no, and orders them by that. [0]" },
        { name: "max-new-tokens", value: "N", help: "Longest rationale. [128]" },
        { name: "exact", help: "Scans all vectors rather than an index." },
      ],
    },
    { title: "Model", options: modelOptions("Where the collection's model is now. [as it was named]", false) },
  ],
  more: MORE,
  run: async (args, context) => (await import("../run-search.ts")).runSearch(args, context),
};
