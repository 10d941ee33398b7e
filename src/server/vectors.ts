/** Vectors as clients want them. */

/** The first numbers of a vector, at length 1. */
export function shortened(embedding: Float32Array, dimensions: number | undefined): Float32Array {
  if (dimensions === undefined || dimensions === embedding.length) return embedding;
  const first = embedding.slice(0, dimensions);
  const length = Math.hypot(...first);
  return length === 0 ? first : first.map((value) => value / length);
}

/** Numbers, or their float32 bytes, little-endian, in base64. */
export function encoded(embedding: Float32Array, format: "float" | "base64"): number[] | string {
  if (format === "float") return [...embedding];
  return Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength).toString("base64");
}
