/** `rge keys`: makes a key for the server. */
import { UsageError } from "../../errors.ts";
import type { Command } from "../command.ts";

const MORE = String.raw`
The key goes to stderr and is not kept; the line for the server's file of keys goes to stdout. It holds a hash, from
which the key cannot be found. Removing a line takes its key's access away at the next start.

Examples:
  $ rge keys laptop >> keys.txt
`;

/** Makes a key. */
export const command: Command = {
  usage: ["keys NAME"],
  about: "Makes a key that `rge serve --keys FILE` lets in.",
  groups: [],
  more: MORE,
  run: async (args) => {
    const [name, ...others] = args.positionals;
    if (name === undefined || others.length > 0) throw new UsageError("keys wants one name, of who the key is for");
    const { newKey } = await import("../../server/keys.ts");
    const { writeText } = await import("../output.ts");
    const { key, line } = newKey(name);
    if (args.has("json")) {
      await writeText(process.stdout, `${JSON.stringify({ name, key, line })}\n`);
      return 0;
    }
    process.stderr.write(`key for ${name}, shown this once: ${key}\n`);
    await writeText(process.stdout, `${line}\n`);
    return 0;
  },
};
