/** What this machine can do at most, measured through the engine that everything else runs in. */
import {
  abs,
  Graph,
  gemm,
  matMulIntegerToFloat,
  quantizeRows,
  filledLike,
  reduceMax,
  reshape,
  serialize,
  type Tensor,
} from "../src/graph/index.ts";
import { floats, type Feeds } from "../src/host-tensor.ts";
import { Session } from "../src/runtime/session.ts";

/** Bytes that no cache holds. */
const READ_BYTES = 2 ** 30;
/** Side of the square products. */
const SIDE = 2048;

/** Upper bounds for decoding (bandwidth) and for everything that works on many rows (products). */
export interface MachineLimits {
  readonly readGbPerS: number;
  readonly float32Gflops: number;
  readonly int8Gflops: number;
}

/** Measures reading a gigabyte once and 2048^3 products; the best of several runs. */
export async function machineLimits(threads: number): Promise<MachineLimits> {
  const flop = 2 * SIDE ** 3;
  const x = floats(filled(SIDE * SIDE), [SIDE, SIDE]);
  return {
    readGbPerS:
      READ_BYTES /
      ((await best(readGraph(), { x: floats(filled(READ_BYTES / 4), [1024, READ_BYTES / 4096]) }, threads)) * 1e6),
    float32Gflops: flop / ((await best(float32Graph(), { x }, threads)) * 1e6),
    int8Gflops: flop / ((await best(int8Graph(), { x }, threads)) * 1e6),
  };
}

function readGraph(): Graph {
  const graph = new Graph("read");
  graph.output("y", reduceMax(graph.input("x", "float32", [1024, READ_BYTES / 4096]), [1]));
  return graph;
}

function float32Graph(): Graph {
  const graph = new Graph("gemm");
  const x = graph.input("x", "float32", [SIDE, SIDE]);
  const weight = graph.initializer("w", "float32", [SIDE, SIDE], () => bytes(filled(SIDE * SIDE)));
  graph.output("y", small(gemm(x, weight, { transB: true })));
  return graph;
}

function int8Graph(): Graph {
  const graph = new Graph("int8");
  const x = graph.input("x", "float32", [SIDE, SIDE]);
  const weight = graph.initializer("w", "int8", [SIDE, SIDE], () =>
    Uint8Array.from({ length: SIDE * SIDE }, (_, i) => (i * 37) & 255),
  );
  const scale = graph.initializer("s", "float32", [SIDE], () => bytes(filled(SIDE)));
  const rows = quantizeRows(x, reshape(reduceMax(abs(x), [1]), [SIDE]), filledLike(x, "uint8", 128, 1));
  graph.output("y", small(matMulIntegerToFloat(rows, weight, scale)));
  return graph;
}

/** Keeps the output small: copying it out is not what is measured. */
function small(product: Tensor): Tensor {
  return reduceMax(product, [1]);
}

async function best(graph: Graph, feeds: Feeds, threads: number): Promise<number> {
  await using session = await Session.open(serialize(graph), graph.name, { threads });
  let fastest = Infinity;
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    await session.run(feeds, ["y"]);
    fastest = Math.min(fastest, performance.now() - start);
  }
  return fastest;
}

function filled(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 2654435761) % 1000) / 1000 - 0.5);
}

function bytes(array: Float32Array): Uint8Array {
  return new Uint8Array(array.buffer);
}
