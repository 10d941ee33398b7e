/** Who may ask: keys are random, kept as hashes, compared in constant time. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { InputError, messageOf } from "../errors.ts";

/** `NAME SHA-256`, as a line of the file of keys. */
interface StoredKey {
  readonly name: string;
  readonly hash: Uint8Array;
}

const LINE = /^(\S{1,64}) ([0-9a-f]{64})$/;

/** A new key, and the line that lets it in. 256 bits of chance: a plain hash cannot be turned back by trying. */
export function newKey(name: string): { key: string; line: string } {
  if (!/^[\w.@-]{1,64}$/.test(name))
    throw new InputError(`${JSON.stringify(name)} is no name of a key: letters, digits and . _ - @, at most 64`);
  const key = `rge_${randomBytes(32).toString("base64url")}`;
  return { key, line: `${name} ${hashOf(key).toString("hex")}` };
}

/** Keys that are let in. */
export class KeyRing {
  readonly #keys: readonly StoredKey[];

  constructor(keys: readonly StoredKey[]) {
    this.#keys = keys;
  }

  /**
   * Reads a file of keys: a name and a hash a line, `#` for comments.
   * @throws {InputError} no such file, or a line that is none
   */
  static read(file: string): KeyRing {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      throw new InputError(`keys: ${messageOf(error)}`, { cause: error });
    }
    const keys = text.split("\n").flatMap((line, i): StoredKey[] => {
      if (line.trim() === "" || line.startsWith("#")) return [];
      const found = LINE.exec(line.trim());
      if (found === null)
        throw new InputError(
          `${file}, line ${i + 1}: expected a name and 64 hex digits; \`rge keys NAME\` writes such lines`,
        );
      return [{ name: found[1]!, hash: Buffer.from(found[2]!, "hex") }];
    });
    if (keys.length === 0) throw new InputError(`${file} has no keys, so nobody would be let in`);
    return new KeyRing(keys);
  }

  /** The name of the key in an Authorization header; every key is compared, so that time tells nothing. */
  nameOf(authorization: string | undefined): string | undefined {
    const given = hashOf(/^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? "");
    let name: string | undefined;
    for (const key of this.#keys) if (timingSafeEqual(key.hash, given)) name = key.name;
    return name;
  }
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
