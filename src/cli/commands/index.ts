/** `rge index`: pictures and texts become a collection. */
import type { Command } from "../command.ts";
import { modelOptions } from "../model-options.ts";
import { STORE_OPTION } from "../open-store.ts";

const MORE = String.raw`
Sources:
  a folder    its pictures, and those of its folders; a caption in NAME.txt beside NAME.jpg, or captions and other
              columns in metadata.jsonl by file_name, as Hugging Face's imagefolder has them
  .jsonl, .csv, .parquet
              a row an item: id, image (a path beside the file), caption or text; other columns are metadata

Run it again after something has changed: what is there is neither read nor embedded again, what moved keeps its
vector, what is gone is removed. A run that was stopped or killed goes on where it was. Files that cannot be read are
listed, the others are done, and the exit status is 1.

Examples:
  $ rge index photos --collection holidays --model owner/rge-3b
  $ rge index products.csv --collection shop --model owner/rge-3b --instruction 'Represent the given product.'
  $ rge index photos --collection holidays --watch
`;

/** Indexes a source. */
export const command: Command = {
  usage: ["index SOURCE --collection NAME [--model M]"],
  about: "Embeds a folder of pictures, or the rows of a file, into a collection that can be searched.",
  groups: [
    {
      title: "Collection",
      options: [
        { name: "collection", value: "NAME", help: "Made where it is not there. Required." },
        STORE_OPTION,
        {
          name: "instruction",
          value: "T",
          help: "What pictures are embedded with, for a collection that is made. [Represent the given image.]",
        },
        {
          name: "max-pixels",
          value: "N",
          help: "Most pixels of a picture, for a collection that is made. [the model's]",
        },
        {
          name: "min-pixels",
          value: "N",
          help: "Fewest pixels of a picture, for a collection that is made. [the model's]",
        },
        { name: "rebuild", help: "Makes the collection anew, for another model or instruction." },
        { name: "keep-gone", help: "Keeps items whose picture is not there any more." },
        { name: "watch", help: "Goes on when the folder changes, until Ctrl-C." },
      ],
    },
    { title: "Model", options: modelOptions("Folder, or owner/name[@revision] on the hub. [the collection's]", true) },
  ],
  more: MORE,
  run: async (args, context) => (await import("../run-index.ts")).runIndex(args, context),
};
