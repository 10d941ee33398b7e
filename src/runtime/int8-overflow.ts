import { cast, Graph, matMulIntegerToFloat, serialize } from "../graph/index.ts";
import { floats } from "../host-tensor.ts";
import type { Gate } from "./gate.ts";
import { Session } from "./session.ts";

const SIDE = 64;
/** The greatest entries on both sides: two of their products together pass 16 bits. */
const GREATEST_ROW = 255;
const GREATEST_WEIGHT = 127;

/**
 * Whether int8 products lose their upper bits on this processor: x86 without VNNI adds pairs of products in 16 bits that
 * saturate. ORT can then compute in a wider way, which costs half the speed elsewhere, so it is asked for only here.
 * Found out by trying rather than by the processor's name.
 */
export async function int8Overflows(gate?: Gate): Promise<boolean> {
  const graph = new Graph("int8-overflow");
  const rows = cast(graph.input("rows", "float32", [SIDE, SIDE]), "uint8");
  const weight = graph.initializer("weight", "int8", [SIDE, SIDE], () =>
    new Uint8Array(SIDE * SIDE).fill(GREATEST_WEIGHT),
  );
  const scale = graph.constant(
    "float32",
    Array.from({ length: SIDE }, () => 1),
    [SIDE],
  );
  graph.output("y", matMulIntegerToFloat(rows, weight, scale));
  await using session = await Session.open(serialize(graph), graph.name, { threads: 1, gate });
  const { y } = await session.run({ rows: floats(new Float32Array(SIDE * SIDE).fill(GREATEST_ROW), [SIDE, SIDE]) }, [
    "y",
  ]);
  const expected = SIDE * (GREATEST_ROW - 128) * GREATEST_WEIGHT;
  return (y.data as Float32Array).some((value) => value !== expected);
}
