/** The only importer of onnxruntime-node. A run blocks the calling thread, so sessions belong in a worker. */
import { createRequire } from "node:module";
import type * as OrtModule from "onnxruntime-node";
import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { messageOf, RuntimeError } from "../errors.ts";
import type { Feeds, HostTensor } from "../host-tensor.ts";
import { Gate } from "./gate.ts";

/** Loaded on first use: the native library takes a tenth of a second that `--help` need not pay. */
type Ort = typeof OrtModule;
let loaded: Ort | undefined;

function ort(): Ort {
  loaded ??= createRequire(import.meta.url)("onnxruntime-node") as Ort;
  return loaded;
}

/** Version of the engine, part of what a compiled graph depends on. */
export function engineVersion(): string {
  return (createRequire(import.meta.url)("onnxruntime-node/package.json") as { version: string }).version;
}

/** How a session runs. */
export interface SessionOptions {
  /** Threads inside one operator. */
  readonly threads: number;
  /** Passed by every native call, so that the calling thread can be ended between two of them. @default none */
  readonly gate?: Gate | undefined;
  /** Computes int8 products in a way that cannot overflow (`int8Overflows`), at half the speed. @default false */
  readonly wideInt8?: boolean | undefined;
}

/** What runs a graph: a session, or one with some of its feeds already given. */
export type Runner = Pick<Session, "run">;

/** A compiled graph that can be run. */
export class Session implements AsyncDisposable {
  readonly #session: InferenceSession;
  readonly #label: string;
  readonly #gate: Gate;

  private constructor(session: InferenceSession, label: string, gate: Gate) {
    this.#session = session;
    this.#label = label;
    this.#gate = gate;
  }

  /**
   * Opens a model file (its weights are mapped, not read whole) or a model held in memory.
   * @throws {RuntimeError} when ORT refuses it
   */
  static async open(
    model: string | Uint8Array,
    label: string,
    { threads, gate = new Gate(), wideInt8 = false }: SessionOptions,
  ): Promise<Session> {
    const options: InferenceSession.SessionOptions = {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: "all",
      logSeverityLevel: 3,
      extra: {
        session: {
          x64quantprecision: wideInt8 ? "1" : "0",
          // Weights of quantised products are repacked at load; the file's copy is let go at once.
          use_device_allocator_for_initializers: "1",
          // Tiny activations of random or extreme models would otherwise fall into slow denormal arithmetic.
          set_denormal_as_zero: "1",
          // Each session has threads of its own. Left spinning after a run, they take the cores from the session that runs
          // next: a decoder and its head in turn took twice their time.
          force_spinning_stop: "1",
        },
      },
    };
    try {
      const session = await gate.pass(async () => {
        const { InferenceSession: native } = ort();
        return typeof model === "string" ? await native.create(model, options) : await native.create(model, options);
      });
      return new Session(session, label, gate);
    } catch (error) {
      throw new RuntimeError(`${label}: the graph does not load: ${messageOf(error)}`, { cause: error });
    }
  }

  /**
   * Runs the graph and copies out the outputs named.
   * @param into outputs that are written to arrays given, each of the output's exact size. An array may also be a feed,
   *   where the graph's last use of that input is the node that makes the output, entry by entry.
   * @throws {RuntimeError} when ORT fails, naming the graph
   */
  async run<Name extends string>(
    feeds: Feeds,
    outputs: readonly Name[],
    into: Feeds = {},
  ): Promise<Record<Name, HostTensor>> {
    const { Tensor } = ort();
    const tensors = (values: Feeds): Record<string, OrtTensor> =>
      Object.fromEntries(
        Object.entries(values).map(([name, { data, shape }]) => [name, new Tensor(typeOf(data), data, [...shape])]),
      );
    const inputs = tensors(feeds);
    const fetches: Record<string, OrtTensor | null> = tensors(into);
    for (const name of outputs) fetches[name] = null;
    try {
      const results = await this.#gate.pass(() => this.#session.run(inputs, fetches));
      const read: Partial<Record<Name, HostTensor>> = {};
      for (const name of outputs) {
        const tensor = results[name]!;
        read[name] = { data: tensor.data as HostTensor["data"], shape: tensor.dims };
      }
      return read as Record<Name, HostTensor>;
    } catch (error) {
      throw new RuntimeError(`${this.#label}: the run failed: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Frees weights and buffers; the session cannot run again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gate.pass(() => this.#session.release());
  }
}

function typeOf(data: HostTensor["data"]): "float32" | "float64" | "int64" | "int32" {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  return data instanceof BigInt64Array ? "int64" : "int32";
}
