/** Builds zips and tars byte by byte, so that a test can have one that no honest program writes. */
import { crc32, deflateRawSync } from "node:zlib";

/** An entry of a zip. */
export interface ZipEntry {
  readonly name: string;
  readonly content?: Uint8Array;
  /** @default true */
  readonly isDeflated?: boolean;
  /** Unix mode with the kind of file, as Unix-made zips have it. @default 0, made on another system */
  readonly mode?: number;
  /** Added to the general purpose flags; 1 is "encrypted". */
  readonly flags?: number;
  /** What the headers say, where it is not so. */
  readonly claims?: { readonly crc?: number; readonly sizeBytes?: number };
  /** Gives sizes and place in the zip64 field, as entries past 4 GiB have them. */
  readonly isZip64?: boolean;
}

const utf8 = 0x800;

/** A zip; `isZip64` gives its end the zip64 form too. */
export function zipOf(entries: readonly ZipEntry[], { isZip64 = false }: { isZip64?: boolean } = {}): Buffer {
  const pieces: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const content = entry.content ?? new Uint8Array();
    const isDeflated = entry.isDeflated ?? true;
    const data = isDeflated ? deflateRawSync(content) : Buffer.from(content);
    const sizeBytes = entry.claims?.sizeBytes ?? content.length;
    const crc = entry.claims?.crc ?? crc32(content);
    const flags = utf8 | (entry.flags ?? 0);
    const method = isDeflated ? 8 : 0;
    const local = bytes([0x04034b50, 4], [45, 2], [flags, 2], [method, 2], [0, 4], [crc, 4]);
    pieces.push(local, bytes([data.length, 4], [sizeBytes, 4], [name.length, 2], [0, 2]), name, data);
    const far = bytes([1, 2], [24, 2], [sizeBytes, 8], [data.length, 8], [offset, 8]);
    const [shownSize, shownData, shownOffset] = entry.isZip64
      ? [0xffffffff, 0xffffffff, 0xffffffff]
      : [sizeBytes, data.length, offset];
    directory.push(
      bytes([0x02014b50, 4], [45, 1], [entry.mode === undefined ? 0 : 3, 1], [45, 2], [flags, 2], [method, 2]),
      bytes([0, 4], [crc, 4], [shownData, 4], [shownSize, 4], [name.length, 2]),
      bytes([entry.isZip64 ? far.length : 0, 2], [0, 2], [0, 2], [0, 2], [(entry.mode ?? 0) * 0x10000, 4]),
      bytes([shownOffset, 4]),
      name,
      entry.isZip64 ? far : Buffer.alloc(0),
    );
    offset += local.length + 12 + name.length + data.length;
  }
  const listed = Buffer.concat(directory);
  const count = entries.length;
  const far = Buffer.concat([
    bytes([0x06064b50, 4], [44, 8], [45, 2], [45, 2], [0, 4], [0, 4], [count, 8], [count, 8]),
    bytes([listed.length, 8], [offset, 8]),
    bytes([0x07064b50, 4], [0, 4], [offset + listed.length, 8], [1, 4]),
  ]);
  const [shownCount, shownLength, shownOffset] = isZip64
    ? [0xffff, 0xffffffff, 0xffffffff]
    : [count, listed.length, offset];
  const end = bytes([0x06054b50, 4], [0, 2], [0, 2], [shownCount, 2], [shownCount, 2]);
  const rest = bytes([shownLength, 4], [shownOffset, 4], [0, 2]);
  return Buffer.concat([...pieces, listed, ...(isZip64 ? [far] : []), end, rest]);
}

/** An entry of a tar. */
export interface TarEntry {
  readonly name: string;
  readonly content?: Uint8Array;
  /** Type flag: `0` file, `1` hard link, `2` symbolic link, `3` device, `5` folder, `x` extended header, `L` long name. @default "0" */
  readonly type?: string;
  readonly linkName?: string;
}

/** A tar, with the two empty blocks at its end. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(tarEntry), Buffer.alloc(1024)]);
}

/** An extended header that gives the next entry another path. */
export function paxPath(path: string): TarEntry {
  const line = ` path=${path}\n`;
  const bytesOf = (digits: number): number => Buffer.byteLength(line) + digits;
  const digits = String(bytesOf(2)).length;
  return { name: "PaxHeader", type: "x", content: Buffer.from(`${bytesOf(digits)}${line}`) };
}

function tarEntry({ name, content = new Uint8Array(), type = "0", linkName = "" }: TarEntry): Buffer[] {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write("0000644\0", 100);
  header.write("0000000\0", 108);
  header.write("0000000\0", 116);
  header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        ", 148);
  header.write(type, 156);
  header.write(linkName, 157, 100);
  header.write("ustar\x0000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return [header, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)];
}

/** Numbers as little-endian fields of so many bytes. */
function bytes(...fields: readonly (readonly [value: number, size: number])[]): Buffer {
  return Buffer.concat(
    fields.map(([value, size]) => {
      const field = Buffer.alloc(size);
      if (size === 8) field.writeBigUInt64LE(BigInt(value));
      else field.writeUIntLE(value, 0, size);
      return field;
    }),
  );
}
