/** `rge serve`: the server and its page. */
import type { Command } from "../command.ts";
import { modelOptions } from "../model-options.ts";
import { STORE_OPTION } from "../open-store.ts";

const MORE = String.raw`
The page is at the address that is printed, the API's description at /docs, health at /healthz and /readyz, metrics at
/metrics. OpenAI's and Cohere's clients embed at /v1/embeddings and /v2/embed.

Without --keys only this machine can ask: another --host than the default wants keys, or --open. Ctrl-C or SIGTERM
finishes what was accepted and refuses the rest.

Examples:
  $ rge serve --model owner/rge-3b
  $ rge keys laptop >> keys.txt
  $ rge serve --model owner/rge-3b --host 0.0.0.0 --keys keys.txt --files /srv/photos
`;

/** Serves. */
export const command: Command = {
  usage: ["serve [--model M] [--port 7860]"],
  about: "Serves embeddings and search over HTTP, with a page to search with.",
  groups: [
    {
      title: "Server",
      options: [
        { name: "host", value: "H", help: "Address to listen at. [127.0.0.1]" },
        { name: "port", value: "N", help: "0 takes any that is free. [7860]" },
        { name: "keys", value: "FILE", help: "Keys that are let in, as `rge keys` writes them." },
        { name: "open", help: "Lets everyone in at another --host without keys." },
        { name: "files", value: "DIR", help: "Folder that clients may name files of. [none]" },
        { name: "allow-remote-images", help: "Fetches pictures from public addresses that clients name." },
        { name: "max-items", value: "N", help: "Items under way, of all requests; beyond is answered 429. [1024]" },
        { name: "timeout", value: "S", help: "Seconds until a request is given up. [120]" },
        STORE_OPTION,
      ],
    },
    {
      title: "Model",
      options: modelOptions("Folder, or owner/name[@revision] on the hub. [nano, the package's own]", true),
    },
  ],
  more: MORE,
  run: async (args, context) => (await import("../run-serve.ts")).runServe(args, context),
};
