/** The worker thread's entry: everything that computes for more than a moment runs here. */
import { getPriority, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { endingOf } from "./ending.ts";
import { Engine, type EngineResult } from "./engine.ts";
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

/** Has an item embedded by `work`, and posts what comes of it. */
async function answer(id: number, work: (signal: AbortSignal) => Promise<EngineResult>): Promise<void> {
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    post({ type: "result", id, result: await work(abort.signal) });
  } catch (error) {
    post({ type: "error", id, error: packError(error) });
  } finally {
    aborts.delete(id);
  }
}

/** How far computing stands back, as `nice` counts: enough that whoever waits for a request is served first. */
const NICENESS = 5;

// Linux knows priorities per thread, and the engine's threads get this one's; elsewhere it would be the whole process's.
if (process.platform === "linux" && getPriority() < NICENESS) setPriority(NICENESS);
try {
  const { model, engine } = await start(workerData as WorkerRequest);
  const pending = new Set<Promise<void>>();
  const track = (task: Promise<void>): void => {
    pending.add(task);
    void task.finally(() => pending.delete(task));
  };
  port.on("message", (message: ToWorker) => {
    switch (message.type) {
      case "embed": {
        const { id, item, follow } = message;
        const onRationale = follow ? (text: string): void => post({ type: "rationale", id, text }) : undefined;
        track(answer(id, (signal) => engine.embed(item, signal, onRationale)));
        break;
      }
      case "embed-together": {
        const { ids, items } = message;
        // Handed over at once, so that the engine never sees a part of them.
        const works = Promise.withResolvers<Promise<EngineResult>[]>();
        const signals: AbortSignal[] = [];
        for (const [i, id] of ids.entries())
          track(
            answer(id, async (signal) => {
              signals.push(signal);
              return await (
                await works.promise
              )[i]!;
            }),
          );
        works.resolve(engine.embedTogether(items, signals));
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
