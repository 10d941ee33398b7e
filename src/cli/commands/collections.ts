/** `rge collections`: what there is, and its upkeep. */
import type { Command } from "../command.ts";
import { modelOptions } from "../model-options.ts";
import { STORE_OPTION } from "../open-store.ts";

const MORE = String.raw`
Actions:
  list                  every collection with its items and model; the default
  show NAME             one collection, its instruction and versions
  optimize NAME         builds or refreshes its index and joins small files; searches find the same
  versions NAME         states that can be gone back to
  restore NAME VERSION  goes back to one, as a new version
  remove NAME           removes it with all its items; its pictures stay where they are
  calibrate NAME        learns from --queries what scores mean, and where auto is to reason

--queries has a query on each line, with the id of the item that it asks for:
{"text": "a red boat", "image": "beside-this-file.jpg", "instruction": "...", "right": "boats/12.jpg"}

Examples:
  $ rge collections
  $ rge collections calibrate shop --queries held-out.jsonl
`;

/** Tells and keeps collections. */
export const command: Command = {
  usage: ["collections [ACTION] [NAME]"],
  about: "Lists collections, and optimizes, restores, calibrates or removes one.",
  groups: [
    {
      title: "Collections",
      options: [
        STORE_OPTION,
        { name: "queries", value: "FILE", help: "Held-out queries to calibrate with." },
        { name: "keep-gain", value: "P", help: "Share of what reasoning gains that auto is to keep, 0 to 1. [0.9]" },
      ],
    },
    {
      title: "Model, to calibrate",
      options: modelOptions("Where the collection's model is now. [as it was named]", false),
    },
  ],
  more: MORE,
  run: async (args, context) => (await import("../run-collections.ts")).runCollections(args, context),
};
