/** Files of one JSON object a line, each checked. */
import { createReadStream, existsSync } from "node:fs";
import { z } from "zod";
import { DatasetError, messageOf } from "../errors.ts";
import { parseJson } from "../json.ts";
import { isBlank, readLines } from "../lines.ts";

/**
 * The objects of a file in order, as they stand there.
 * @param options.skipsBlank whether a blank line is nothing, or an error. @default false
 * @throws {DatasetError} no such file, or a line that does not fit; it is named
 */
export async function* readJsonLines<Schema extends z.ZodType>(
  file: string,
  schema: Schema,
  { skipsBlank = false }: { readonly skipsBlank?: boolean } = {},
): AsyncGenerator<z.infer<Schema>, void, void> {
  if (!existsSync(file)) throw new DatasetError(`${file} is not there. Run the evaluation again.`);
  for await (const line of readLines(createReadStream(file))) {
    if (skipsBlank && isBlank(line)) continue;
    const where = `${file}, line ${line.number}`;
    if (line.bytes === undefined) throw new DatasetError(`${where}: too long`);
    let value: unknown;
    try {
      value = parseJson(line.bytes, { where });
    } catch (error) {
      throw new DatasetError(`${where}: not JSON (${messageOf(error)})`, { cause: error });
    }
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw new DatasetError(`${where}: ${z.prettifyError(parsed.error)}`);
    yield parsed.data;
  }
}
