/**
 * Writes a graph as an ONNX ModelProto: the only file that knows protobuf. Field numbers are those of onnx.proto
 * (ONNX 1.16 and later, IR version 10).
 */
import { RgeError } from "../errors.ts";
import { DTYPE_CODE } from "../dtype.ts";
import type { Graph } from "./graph.ts";
import { packNumbers } from "./pack.ts";
import type { Attribute, Initializer, Node, Tensor } from "./tensor.ts";
import { validate } from "./validate.ts";

const IR_VERSION = 10;
/** Gelu came with 20; newer versions add nothing that is used here. */
const OPSET = 21;
/** Bigger initialisers go to a file of their own: a protobuf message cannot pass 2 GiB, and files can be mapped. */
const INLINE_MAX_BYTES = 1024;
/** Mapped tensors start on a page, as ORT wants for a view without a copy. */
const ALIGNMENT_BYTES = 4096;

/** Grows by doubling; holds only structure, never big weights. */
class ProtoWriter {
  #bytes = new Uint8Array(1 << 12);
  #length = 0;

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + extra));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  #varint(value: number | bigint): void {
    this.#reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 0x80n) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  int(field: number, value: number | bigint): this {
    this.#varint(field << 3);
    this.#varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#varint((field << 3) | 5);
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(this.#length, value, true);
    this.#length += 4;
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint((field << 3) | 2);
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, build: (writer: ProtoWriter) => void): this {
    const inner = new ProtoWriter();
    build(inner);
    return this.bytes(field, inner.finish());
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

/** Where big initialisers go. `append` returns nothing; offsets are kept here. */
export interface ExternalData {
  /** File name relative to the model file. */
  readonly location: string;
  /** Appends bytes at the end of that file. */
  readonly append: (bytes: Uint8Array) => void;
}

/**
 * The model file's bytes. Initialisers above 1 KiB are appended to `external` one by one, so that memory holds one at
 * a time; without `external` everything is inline (tests, small graphs).
 * @throws {ShapeError} for an illegal graph
 */
export function serialize(graph: Graph, external?: ExternalData): Uint8Array {
  validate(graph);
  const model = new ProtoWriter();
  model.int(1, IR_VERSION).text(2, "rge");
  for (const [domain, version] of [
    ["", OPSET],
    ["com.microsoft", 1],
  ] as const)
    model.message(8, (opset) => opset.text(1, domain).int(2, version));
  model.message(7, (writer) => writeGraph(writer, graph, external));
  return model.finish();
}

function writeGraph(writer: ProtoWriter, graph: Graph, external: ExternalData | undefined): void {
  const read = new Set([...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs]);
  for (const node of graph.nodes) writer.message(1, (inner) => writeNode(inner, node, read));
  writer.text(2, graph.name);
  let offset = 0;
  for (const initializer of graph.initializers.values()) {
    const bytes = initializer.bytes();
    if (bytes.length !== initializer.sizeBytes)
      throw new RgeError(
        `internal: initialiser ${initializer.tensor.name} gave ${bytes.length} bytes, ${initializer.sizeBytes} declared`,
      );
    if (external === undefined || bytes.length <= INLINE_MAX_BYTES) {
      writer.message(5, (inner) => writeTensor(inner, initializer).bytes(9, bytes));
      continue;
    }
    const at = offset;
    writer.message(5, (inner) => writeExternal(writeTensor(inner, initializer), external.location, at, bytes.length));
    const padding = (ALIGNMENT_BYTES - (bytes.length % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES;
    external.append(bytes);
    if (padding > 0) external.append(new Uint8Array(padding));
    offset += bytes.length + padding;
  }
  for (const input of graph.inputs) writer.message(11, (inner) => writeValue(inner, input));
  for (const output of graph.outputs) writer.message(12, (inner) => writeValue(inner, output));
}

function writeTensor(writer: ProtoWriter, { tensor }: Initializer): ProtoWriter {
  for (const dim of tensor.shape) writer.int(1, dim as number);
  return writer.int(2, DTYPE_CODE[tensor.dtype]).text(8, tensor.name);
}

function writeExternal(writer: ProtoWriter, location: string, offset: number, length: number): void {
  const entries = { location, offset: String(offset), length: String(length) };
  for (const [key, value] of Object.entries(entries)) writer.message(13, (entry) => entry.text(1, key).text(2, value));
  writer.int(14, 1);
}

/** @param read every tensor that something reads; optional outputs that nothing reads are left out */
function writeNode(writer: ProtoWriter, node: Node, read: ReadonlySet<Tensor | undefined>): void {
  let last = node.inputs.length;
  while (last > 0 && node.inputs[last - 1] === undefined) last--;
  for (const input of node.inputs.slice(0, last)) writer.text(1, input?.name ?? "");
  const required = node.op.requiredOutputs ?? node.outputs.length;
  const kept = Math.max(required, 1 + node.outputs.findLastIndex((output) => read.has(output)));
  for (const output of node.outputs.slice(0, kept)) writer.text(2, output.name);
  writer.text(3, node.outputs[0]!.name).text(4, node.op.onnx);
  for (const [name, value] of Object.entries(node.attrs))
    if (!name.startsWith("$")) writer.message(5, (inner) => writeAttribute(inner.text(1, name), value));
  if (node.op.domain !== "") writer.text(7, node.op.domain);
}

/** AttributeProto: f = 2, i = 3, s = 4, t = 5, ints = 8, type = 20. */
function writeAttribute(writer: ProtoWriter, value: Attribute): void {
  if (typeof value === "number") writer.int(3, value).int(20, 2);
  else if (typeof value === "string") writer.text(4, value).int(20, 3);
  else if (isInts(value)) {
    for (const item of value) writer.int(8, item);
    writer.int(20, 7);
  } else if ("float" in value) writer.float(2, value.float).int(20, 1);
  else {
    const raw = packNumbers(value.dtype, [value.value]);
    writer.message(5, (tensor) => tensor.int(1, 1).int(2, DTYPE_CODE[value.dtype]).bytes(9, raw)).int(20, 4);
  }
}

function isInts(value: Attribute): value is readonly number[] {
  return Array.isArray(value);
}

/** ValueInfoProto; symbolic extents are written as dim_param, products and sums as names of their own. */
function writeValue(writer: ProtoWriter, tensor: Tensor): void {
  writer.text(1, tensor.name).message(2, (type) =>
    type.message(1, (tensorType) => {
      tensorType.int(1, DTYPE_CODE[tensor.dtype]);
      tensorType.message(2, (shape) => {
        for (const dim of tensor.shape)
          shape.message(1, (inner) => (typeof dim === "number" ? inner.int(1, dim) : inner.text(2, dim)));
      });
    }),
  );
}
