/** The worker thread's entry: everything that computes for more than a moment runs here. */
import { parentPort, workerData } from "node:worker_threads";
import { endingOf } from "./ending.ts";
import { Engine } from "./engine.ts";
import type { CheckedItem } from "./check-item.ts";
import { openModel, type OpenModel } from "./model.ts";
import { prepareItem } from "./prepare.ts";
import { packError, type FromWorker, type ToWorker, type WorkerRequest } from "./protocol.ts";

const port = parentPort!;
const post = (message: FromWorker): void => port.postMessage(message);
const aborts = new Map<number, AbortController>();

async function start(request: WorkerRequest): Promise<{ model: OpenModel; engine: Engine<CheckedItem> }> {
  const model = await openModel(request, (progress) => post({ type: "progress", progress }));
  const ending = endingOf(model.tokenizer, model.generation, request.closingPrompt);
  const { config, hash } = model;
  const info = { modelType: config.modelType, hidden: config.text.hidden, hash, mode: ending.mode };
  post({ type: "ready", info, repetitionPenalty: model.generation.repetitionPenalty });
  return {
    model,
    engine: new Engine(model, ending, { batch: request.batch, prepare: (item) => prepareItem(model, ending, item) }),
  };
}

async function embed(
  engine: Engine<CheckedItem>,
  { id, item, follow }: Extract<ToWorker, { type: "embed" }>,
): Promise<void> {
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    const onRationale = follow ? (text: string): void => post({ type: "rationale", id, text }) : undefined;
    post({ type: "result", id, result: await engine.embed(item, abort.signal, onRationale) });
  } catch (error) {
    post({ type: "error", id, error: packError(error) });
  } finally {
    aborts.delete(id);
  }
}

try {
  const { model, engine } = await start(workerData as WorkerRequest);
  const pending = new Set<Promise<void>>();
  port.on("message", (message: ToWorker) => {
    switch (message.type) {
      case "embed": {
        const task = embed(engine, message);
        pending.add(task);
        void task.finally(() => pending.delete(task));
        break;
      }
      case "abort":
        for (const id of message.ids) aborts.get(id)?.abort();
        break;
      case "close":
        for (const abort of aborts.values()) abort.abort();
        void Promise.allSettled(pending)
          .then(() => model[Symbol.asyncDispose]())
          .then(() => post({ type: "closed" }))
          .then(() => port.close());
        break;
    }
  });
} catch (error) {
  post({ type: "failed", error: packError(error) });
  port.close();
}
