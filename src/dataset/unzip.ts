/** Reads a zip, zip64 too, entry by entry. The one importer of yauzl. */
import { crc32 } from "node:zlib";
import { type Entry, type ZipFile, getFileNameLowLevel, openPromise } from "yauzl";
import { DatasetError, messageOf } from "../errors.ts";
import type { EntryWriter } from "./entry-writer.ts";

/** File kinds in the upper half of a Unix-made entry's attributes; 0 is an entry of another system. */
const KIND_MASK = 0o170000;
const FOLDER = 0o040000;
const PLAIN_KINDS = [0, 0o100000, FOLDER];

/**
 * Unpacks a zip.
 * @param onBytes told how many more of the archive's bytes are done, at least once a chunk; may throw to end the work
 * @throws {DatasetError} an entry that is refused
 * @throws {Error} a file that is no zip, is cut off, or whose content does not inflate
 */
export async function unzip(file: string, writer: EntryWriter, onBytes: (bytes: number) => void): Promise<void> {
  // Names are decoded here, so that those of other programs are not mended but refused.
  const zip = await openPromise(file, { decodeStrings: false, validateEntrySizes: true });
  for await (const entry of zip.eachEntry()) {
    const { generalPurposeBitFlag, fileNameRaw, extraFields } = entry;
    const name = getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, true);
    const kind = (entry.externalFileAttributes >>> 16) & KIND_MASK;
    if (!PLAIN_KINDS.includes(kind))
      writer.refuse(name, `neither a file nor a folder but of kind 0o${kind.toString(8)}, such as a link`);
    if (name.endsWith("/") || kind === FOLDER) writer.addFolder(name);
    else await unzipFile(zip, entry, name, writer, onBytes);
    onBytes(entry.compressedSize);
  }
}

async function unzipFile(
  zip: ZipFile,
  entry: Entry,
  name: string,
  writer: EntryWriter,
  onBytes: (bytes: number) => void,
): Promise<void> {
  if (!entry.canDecodeFileData())
    writer.refuse(name, `encrypted, or compressed by method ${entry.compressionMethod}; expected 0 or 8 (deflate)`);
  writer.beginFile(name, entry.uncompressedSize);
  let crc = 0;
  try {
    const content: AsyncIterable<Buffer> = await zip.openReadStreamPromise(entry);
    for await (const chunk of content) {
      onBytes(0);
      writer.count(chunk.length);
      writer.write(chunk);
      crc = crc32(chunk, crc);
    }
  } catch (error) {
    if (error instanceof DatasetError) throw error;
    writer.refuse(name, messageOf(error), error);
  }
  if (crc !== entry.crc32)
    writer.refuse(name, `its content has CRC-32 ${hex(crc)}, the archive says ${hex(entry.crc32)}`);
  writer.endFile();
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
