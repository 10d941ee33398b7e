import { ShapeError } from "../../errors.ts";
import { formatShape, type Shape } from "../../shape.ts";
import { defineOp, intAttr, required } from "../op.ts";
import type { Tensor } from "../tensor.ts";

function expectShape(what: string, tensor: Tensor, expected: Shape): void {
  if (formatShape(tensor.shape) !== formatShape(expected))
    throw new ShapeError(`${what}: expected ${formatShape(expected)}, got ${formatShape(tensor.shape)}`);
}

const nBitsOp = defineOp({
  onnx: "MatMulNBits",
  domain: "com.microsoft",
  infer: (inputs, attrs) => {
    const x = required(inputs, 0, "matMulNBits");
    const inner = intAttr(attrs, "K", 0);
    if (x.shape.at(-1) !== inner)
      throw new ShapeError(`matMulNBits: inner dims differ: x ${formatShape(x.shape)}, weights of ${inner}`);
    const [rows, block, bits] = [intAttr(attrs, "N", 0), intAttr(attrs, "block_size", 0), intAttr(attrs, "bits", 0)];
    const blocks = Math.ceil(inner / block);
    expectShape("matMulNBits values", required(inputs, 1, "matMulNBits"), [rows, blocks, (block * bits) / 8]);
    expectShape("matMulNBits scales", required(inputs, 2, "matMulNBits"), [rows, blocks]);
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), intAttr(attrs, "N", 0)] }];
  },
  gradient: "none",
});

/** Weights in `bits` bits, one scale per block of `blockSize` along the inner axis. */
export interface BlockQuantized {
  readonly bits: 4 | 8;
  readonly blockSize: number;
  readonly rows: number;
  readonly columns: number;
  /** uint8 `[rows, columns / blockSize, blockSize * bits / 8]`; the zero point is the middle of the range. */
  readonly values: Tensor;
  /** `[rows, columns / blockSize]` */
  readonly scales: Tensor;
}

/** `x W^T` with block-quantised `W`; activations become int8 per block inside the kernel (accuracy level 4). */
export function matMulNBits(x: Tensor, weight: BlockQuantized): Tensor {
  return nBitsOp([x, weight.values, weight.scales], {
    K: weight.columns,
    N: weight.rows,
    bits: weight.bits,
    block_size: weight.blockSize,
    accuracy_level: 4,
  })[0]!;
}

const quantizeOp = defineOp({
  onnx: "QuantizeLinear",
  domain: "",
  infer: (inputs) => {
    const x = required(inputs, 0, "quantizeRows");
    const scale = required(inputs, 1, "quantizeRows");
    const zero = required(inputs, 2, "quantizeRows");
    expectShape("quantizeRows scale", scale, x.shape.slice(0, 1));
    expectShape("quantizeRows zeroPoint", zero, x.shape.slice(0, 1));
    return [{ dtype: zero.dtype, shape: x.shape }];
  },
  gradient: "none",
});

/** `round(x / scale) + zeroPoint` with a scale per row: `[rows, n]`, `[rows]`, uint8 `[rows]` -> uint8 `[rows, n]`. */
export function quantizeRows(x: Tensor, scale: Tensor, zeroPoint: Tensor): Tensor {
  return quantizeOp([x, scale, zeroPoint], { axis: 0 })[0]!;
}

const integerOp = defineOp({
  onnx: "MatMulIntegerToFloat",
  domain: "com.microsoft",
  infer: (inputs) => {
    const a = required(inputs, 0, "matMulIntegerToFloat");
    const b = required(inputs, 1, "matMulIntegerToFloat");
    if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[1] !== b.shape[0])
      throw new ShapeError(
        `matMulIntegerToFloat: inner dims differ: a ${formatShape(a.shape)}, b ${formatShape(b.shape)}`,
      );
    // Input 2 is the scale of `a`, one number for the whole tensor.
    expectShape("matMulIntegerToFloat scale", required(inputs, 3, "matMulIntegerToFloat"), [b.shape[1]!]);
    return [{ dtype: "float32", shape: [a.shape[0]!, b.shape[1]!] }];
  },
  gradient: "none",
});

/** `(a - 128) b * scale`, summed in int32: uint8 `[rows, n]`, int8 `[n, m]`, float32 `[m]` -> float32 `[rows, m]`. */
export function matMulIntegerToFloat(a: Tensor, b: Tensor, scale: Tensor): Tensor {
  const one = a.graph.constant("float32", [1], []);
  const middle = a.graph.constant("uint8", [128], []);
  return integerOp([a, b, one, scale, middle])[0]!;
}
