/** Loads a model with its progress on stderr. */
import { resolveModel } from "../checkpoint/hub.ts";
import { Embedder } from "../embed/embedder.ts";
import { InputError, RgeError, UsageError } from "../errors.ts";
import type { CommandContext } from "./command.ts";
import type { EmbedPlan } from "./embed-plan.ts";
import { EXIT, StatusError } from "./exit-status.ts";

/**
 * The local folder of a model or adapter, downloaded first where it has to be.
 * @throws {HubError} a download that fails
 */
export async function localFolder(name: string, { messages, interrupt }: CommandContext): Promise<string> {
  try {
    return await resolveModel(name, {
      signal: interrupt.signal,
      onNotice: (text) => messages.notice(text),
      onProgress: ({ file, receivedBytes, totalBytes, filesDone, filesTotal }) => {
        const nth = Math.min(filesTotal, receivedBytes === totalBytes ? filesDone : filesDone + 1);
        messages.progress.update({
          what: `downloading ${file} (${nth} of ${filesTotal})`,
          done: receivedBytes,
          total: totalBytes,
          unit: "bytes",
        });
      },
    });
  } finally {
    messages.progress.clear();
  }
}

/**
 * Loads the model of `plan`.
 * @throws {StatusError} whatever keeps it from loading
 * @throws {UsageError} options that the library refuses
 */
export async function loadModel(
  { model, adapter, load }: Pick<EmbedPlan, "model" | "adapter" | "load">,
  context: CommandContext,
): Promise<Embedder> {
  const { messages, interrupt } = context;
  const folder = await localFolder(model, context);
  const adapterFolder = adapter === undefined ? undefined : await localFolder(adapter, context);
  try {
    return await Embedder.load(folder, {
      ...load,
      adapter: adapterFolder,
      signal: interrupt.signal,
      onNotice: (text) => messages.notice(text),
      onProgress: (progress) => {
        if (progress.stage === "download") return;
        const { graph, doneBytes, totalBytes } = progress;
        messages.progress.update({ what: `compiling ${graph}`, done: doneBytes, total: totalBytes, unit: "bytes" });
      },
    });
  } catch (error) {
    if (error instanceof InputError) throw new UsageError(error.message, { cause: error });
    if (error instanceof RgeError) throw new StatusError(EXIT.noModel, error);
    throw error;
  } finally {
    messages.progress.clear();
  }
}
