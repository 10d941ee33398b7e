/** Reads a tar, gzipped or not, whole or in parts, as one stream of entries. The one importer of tar. */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { Parser, type ReadEntry } from "tar";
import { messageOf } from "../errors.ts";
import type { EntryWriter } from "./entry-writer.ts";

/** Bytes read or inflated at once; entries in one such chunk are written without a pause for anything else. */
const CHUNK_BYTES = 256 * 1024;

/** Size of a header, and what the content of an entry is padded to. */
const BLOCK_BYTES = 512;

const FILES: readonly string[] = ["File", "OldFile", "ContiguousFile"];

/**
 * Unpacks a tar.
 * @param parts files that are one when they are joined in this order
 * @param onBytes told how many more of the parts' bytes are read, at least once a chunk; may throw to end the work
 * @throws {DatasetError} an entry that is refused, a tar that is damaged or cut off
 * @throws {Error} a part that cannot be read, or that does not inflate
 */
export async function untar(
  parts: readonly string[],
  writer: EntryWriter,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const bytes = Readable.from(readParts(parts, onBytes));
  const reader = new TarReader(writer);
  const read = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) {
      onBytes(0);
      writer.count(chunk.length);
      reader.write(chunk);
    }
    reader.end();
  };
  if (await isGzip(parts[0]!)) await pipeline(bytes, createGunzip({ chunkSize: CHUNK_BYTES }), read);
  else await pipeline(bytes, read);
}

async function* readParts(parts: readonly string[], onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  for (const part of parts) {
    const chunks: AsyncIterable<Buffer> = createReadStream(part, { highWaterMark: CHUNK_BYTES });
    for await (const chunk of chunks) {
      onBytes(chunk.length);
      yield chunk;
    }
  }
}

/** By what it begins with: names lie. */
async function isGzip(file: string): Promise<boolean> {
  const begin: Buffer[] = [];
  for await (const chunk of createReadStream(file, { end: 1 })) begin.push(chunk as Buffer);
  return hasGzipMark(Buffer.concat(begin));
}

function hasGzipMark(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Gives each entry to the writer as soon as its bytes are there, so that nothing waits in the parser. */
class TarReader {
  readonly #writer: EntryWriter;
  /** Strict: what it would only warn of, such as a wrong checksum, is an error. */
  readonly #parser = new Parser({ strict: true, zstd: false });
  /** The first bytes, until they are a block. */
  #begin: Buffer | undefined = Buffer.alloc(0);
  #hasEndMark = false;
  #isOver = false;

  constructor(writer: EntryWriter) {
    this.#writer = writer;
    this.#parser.on("entry", (entry: ReadEntry) => this.#take(entry));
    this.#parser.on("ignoredEntry", ({ path, type, size }: ReadEntry) =>
      writer.refuse(path, `of type ${type} with ${size} bytes; expected files and folders`),
    );
    this.#parser.on("nullBlock", () => (this.#hasEndMark = true));
    this.#parser.on("eof", () => (this.#isOver = true));
    this.#parser.on("error", (error: unknown) => writer.refuse(undefined, messageOf(error), error));
  }

  write(chunk: Buffer): void {
    // What follows the end is padding; the parser would collect it.
    if (this.#isOver) return;
    if (this.#begin !== undefined) {
      this.#begin = Buffer.concat([this.#begin, chunk]);
      if (this.#begin.length < BLOCK_BYTES) return;
      // The parser would inflate it once more, past all limits.
      if (hasGzipMark(this.#begin)) this.#writer.refuse(undefined, "is compressed twice");
      chunk = this.#begin;
      this.#begin = undefined;
    }
    this.#parser.write(chunk);
  }

  end(): void {
    if (this.#begin !== undefined) this.#writer.refuse(undefined, "is shorter than any tar");
    this.#parser.end();
    if (!this.#hasEndMark) this.#writer.refuse(undefined, "has no end: it was cut off");
  }

  #take(entry: ReadEntry): void {
    // The type in the header itself: `entry.type` can be set by an extended header.
    const { type } = entry.header;
    if (type === "Directory") {
      this.#writer.addFolder(entry.path);
      entry.resume();
      return;
    }
    if (!FILES.includes(type)) this.#writer.refuse(entry.path, `of type ${type}; expected files and folders`);
    this.#writer.beginFile(entry.path, entry.size);
    entry.on("end", () => this.#writer.endFile());
    entry.on("data", (chunk) => this.#writer.write(chunk));
  }
}
