/** `rge start`: from nothing to a page that searches, in one command. */
import type { Command } from "../command.ts";
import { modelOptions } from "../model-options.ts";
import { STORE_OPTION } from "../open-store.ts";

const MORE = String.raw`
Without a folder it draws a gallery of small scenes on first use and searches it with nano, the model that comes with
the package. With a folder of pictures and a model it does the same for them. The page can be used while the folder is
still being indexed; run it again and only what is new is embedded. Only this machine can reach it: rge serve is for
others. Ctrl-C stops.

Examples:
  $ rge start
  $ rge start photos --model owner/rge-3b
`;

/** Indexes, serves, and opens the page. */
export const command: Command = {
  usage: ["start [FOLDER --model M]"],
  about: "Makes a collection of a folder of pictures, or of a gallery that comes along, and opens a page to search it.",
  groups: [
    {
      title: "Page",
      options: [
        { name: "collection", value: "NAME", help: "What the folder's collection is called. [the folder's name]" },
        { name: "port", value: "N", help: "0 takes any that is free. [7860]" },
        { name: "no-open", help: "Prints the address and opens no browser." },
        STORE_OPTION,
      ],
    },
    {
      title: "Model",
      options: modelOptions("Folder, or owner/name[@revision] on the hub. [the collection's; nano]", true),
    },
  ],
  more: MORE,
  run: async (args, context) => (await import("../run-start.ts")).runStart(args, context),
};
