/** `rge pull`: downloads a model, prints its folder. */
import { UsageError } from "../../errors.ts";
import type { Arguments } from "../arguments.ts";
import type { Command, CommandContext } from "../command.ts";
import { EXIT } from "../exit-status.ts";

const MORE = `
Examples:
  $ rge pull owner/rge-3b
  downloading model-00001-of-00002.safetensors (8 of 9) [######..............]  31%  1.5 GiB / 4.9 GiB  48.1 MiB/s  1m 12s left
  /home/me/.cache/huggingface/hub/models--owner--rge-3b/snapshots/0123456789abcdef0123456789abcdef01234567

  $ rge embed --model "$(rge pull owner/rge-3b@v1.1)" --text 'a red bicycle'
`;

/** Downloads what is missing of a model, and of an adapter where one is named. */
export const command: Command = {
  usage: ["pull M [--adapter A]"],
  about:
    "Downloads a model from the hub into the cache that all Hugging Face tools share, and prints its folder. What is there already is not downloaded again, and an interrupted download goes on where it stopped. M is owner/name[@revision]; a folder is printed as it is.",
  groups: [
    {
      title: "Options",
      options: [{ name: "adapter", value: "A", help: "A LoRA adapter to download as well. [none]" }],
    },
  ],
  more: MORE,
  run: pull,
};

async function pull(args: Arguments, context: CommandContext): Promise<number> {
  const [model, ...rest] = args.positionals;
  if (model === undefined || rest.length > 0)
    throw new UsageError(`pull takes one model such as "owner/name", got ${args.positionals.length}`);
  const { localFolder } = await import("../load-model.ts");
  const { writeText } = await import("../output.ts");
  const folder = await localFolder(model, context);
  const adapterName = args.text("adapter");
  const adapter = adapterName === undefined ? undefined : await localFolder(adapterName, context);
  const text = args.has("json")
    ? JSON.stringify({ folder, ...(adapter !== undefined && { adapter }) })
    : [folder, ...(adapter === undefined ? [] : [adapter])].join("\n");
  await writeText(process.stdout, `${text}\n`);
  return EXIT.done;
}
