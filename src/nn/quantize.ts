/** Weight quantisers. Rows are output features, as checkpoints store them: `[rows, columns]`, row-major. */

/** Values in `bits` bits around a zero point in the middle, one scale per block of a row. */
export interface QuantizedBlocks {
  readonly values: Uint8Array;
  readonly scales: Float32Array;
}

/**
 * Splits each row into blocks of `blockSize` (the last padded with zeros) and stores `round(w / scale) + 2^(bits-1)`.
 * The scale maps the entry of greatest magnitude onto the one code that has no mirror image (-8 in four bits), then
 * takes the least-squares scale for the codes so found, which never raises a block's squared error.
 * Layout as ORT's MatMulNBits wants it: `[rows, blocks, blockSize * bits / 8]`, low nibble first.
 */
export function quantizeBlocks(
  weight: Float32Array,
  rows: number,
  columns: number,
  bits: 4 | 8,
  blockSize: number,
): QuantizedBlocks {
  const blocks = Math.ceil(columns / blockSize);
  const blockBytes = (blockSize * bits) / 8;
  const values = new Uint8Array(rows * blocks * blockBytes);
  const scales = new Float32Array(rows * blocks);
  const codes = new Uint8Array(blockSize);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const start = row * columns + block * blockSize;
      const length = Math.min(blockSize, columns - block * blockSize);
      scales[row * blocks + block] = quantizeBlock(weight, start, length, 2 ** (bits - 1), codes);
      packCodes(codes, bits, values, (row * blocks + block) * blockBytes);
    }
  }
  return { values, scales };
}

/** Fills `codes`, which stand around `middle`, and returns the scale; an all-zero block has scale 0. */
function quantizeBlock(weight: Float32Array, start: number, length: number, middle: number, codes: Uint8Array): number {
  let highest = 0;
  let lowest = 0;
  for (let i = start; i < start + length; i++) {
    const value = weight[i]!;
    if (value > highest) highest = value;
    if (value < lowest) lowest = value;
  }
  const extreme = highest > -lowest ? highest : lowest;
  const inverse = extreme === 0 ? 0 : -middle / extreme;
  const most = 2 * middle - 1;
  let product = 0;
  let square = 0;
  for (let i = 0; i < length; i++) {
    const value = weight[start + i]!;
    // Positive before truncation, so that `| 0` rounds to nearest.
    const rounded = (value * inverse + middle + 0.5) | 0;
    const code = rounded > most ? most : rounded;
    codes[i] = code;
    product += value * (code - middle);
    square += (code - middle) * (code - middle);
  }
  codes.fill(middle, length);
  return square === 0 ? 0 : product / square;
}

function packCodes(codes: Uint8Array, bits: 4 | 8, out: Uint8Array, at: number): void {
  if (bits === 8) out.set(codes, at);
  else for (let i = 0; i < codes.length; i += 2) out[at + (i >> 1)] = codes[i]! | (codes[i + 1]! << 4);
}

/** int8 values with one scale per output feature, transposed to `[columns, rows]` for ORT's integer product. */
export interface QuantizedRows {
  readonly values: Int8Array;
  readonly scales: Float32Array;
}

/** Transposing a tile at a time keeps both sides in cache. */
const TILE = 64;

/** Symmetric int8 per output feature: `round(w / scale)` with `scale = max |w| / 127` of its row. */
export function quantizeRowsInt8(weight: Float32Array, rows: number, columns: number): QuantizedRows {
  const values = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  const inverse = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let extreme = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      const magnitude = Math.abs(weight[i]!);
      if (magnitude > extreme) extreme = magnitude;
    }
    scales[row] = extreme / 127;
    inverse[row] = extreme === 0 ? 0 : 127 / extreme;
  }
  for (let row0 = 0; row0 < rows; row0 += TILE) {
    for (let column0 = 0; column0 < columns; column0 += TILE) {
      const rowEnd = Math.min(rows, row0 + TILE);
      const columnEnd = Math.min(columns, column0 + TILE);
      for (let row = row0; row < rowEnd; row++) {
        const scale = inverse[row]!;
        for (let column = column0; column < columnEnd; column++) {
          // Positive before truncation, so that `| 0` rounds to nearest.
          values[column * rows + row] = ((weight[row * columns + column]! * scale + 127.5) | 0) - 127;
        }
      }
    }
  }
  return { values, scales };
}
