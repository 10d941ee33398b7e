/** From a line of JSONL, or the options of one item, to what the library embeds. */
import { isAbsolute, join } from "node:path";
import * as z from "zod";
import { nearestNames } from "../checkpoint/tensor-names.ts";
import { InputError, messageOf } from "../errors.ts";
import type { EmbedItem, ReasonOptions } from "../embed/types.ts";
import { MAX_LINE_BYTES, type Line } from "../lines.ts";

/** What holds for every item that does not say otherwise. */
export interface ItemDefaults {
  readonly role: "query" | "target";
  /** `undefined` where the role decides. */
  readonly reason: boolean | undefined;
  /** How a rationale is written, for items that reason. */
  readonly reasonOptions: ReasonOptions;
  readonly minPixels: number | undefined;
  readonly maxPixels: number | undefined;
}

const lineSchema = z.strictObject({
  id: z.union([z.string(), z.int()]).optional(),
  role: z.enum(["query", "target"]).optional(),
  text: z.string().optional(),
  instruction: z.string().optional(),
  images: z.array(z.string().min(1)).optional(),
  minPixels: z.int().min(1).optional(),
  maxPixels: z.int().min(1).optional(),
  maxNewTokens: z.int().min(1).optional(),
  reason: z.boolean().optional(),
  rationale: z.string().optional(),
});

/** An item as a line of JSONL says it, but for its id. */
export interface ItemFields extends Pick<EmbedItem, "role" | "text" | "instruction" | "rationale"> {
  readonly images?: readonly string[] | undefined;
  readonly minPixels?: number | undefined;
  readonly maxPixels?: number | undefined;
  readonly maxNewTokens?: number | undefined;
  readonly reason?: boolean | undefined;
}

/** A line read: its item, or why there is none. */
export type ParsedLine = { readonly id: string | number; readonly number: number } & (
  | { readonly item: EmbedItem }
  | { readonly problem: InputError }
);

/**
 * Reads one line that is not blank. Its id is the one it gives, else its number.
 * @param folder what paths of images are relative to
 */
export function parseItemLine(line: Line, defaults: ItemDefaults, folder: string): ParsedLine {
  const { number } = line;
  let id: string | number = number;
  try {
    const value = parseJsonLine(line);
    const given = lineSchema.shape.id.safeParse((value as { id?: unknown } | null)?.id);
    id = given.data ?? number;
    return { id, number, item: itemOf(checkFields(value), defaults, folder) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { id, number, problem: error };
  }
}

/**
 * The item that `fields` and, where they are silent, `defaults` describe.
 * @throws {InputError} fields that contradict each other
 */
export function itemOf(fields: ItemFields, defaults: ItemDefaults, folder: string): EmbedItem {
  const { role = defaults.role, rationale, maxNewTokens, images } = fields;
  const { minPixels = defaults.minPixels, maxPixels = defaults.maxPixels } = fields;
  const common = {
    role,
    text: fields.text,
    instruction: fields.instruction,
    images: images?.map((path) => placed(path, folder)),
    minPixels,
    maxPixels,
  };
  if (rationale !== undefined) {
    if (maxNewTokens !== undefined)
      throw new InputError("maxNewTokens is given, but the rationale is given too and none is written");
    // A default cannot contradict the line's own rationale, its own `reason: false` does.
    return { ...common, rationale, ...(fields.reason !== undefined && { reason: fields.reason }) };
  }
  const reasons = fields.reason ?? defaults.reason ?? role === "query";
  if (!reasons && maxNewTokens !== undefined)
    throw new InputError("maxNewTokens is given, but the item does not reason: set reason to true, or leave it out");
  const reason = { ...defaults.reasonOptions, ...(maxNewTokens !== undefined && { maxNewTokens }) };
  return { ...common, reason: reasons ? reason : false };
}

function parseJsonLine({ bytes, number }: Line): unknown {
  if (bytes === undefined)
    throw new InputError(`longer than ${MAX_LINE_BYTES} bytes. Give images as paths, and one item per line.`);
  try {
    // Decoding drops a byte order mark; elsewhere than at the start of the file it is an error.
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: number > 1 }).decode(bytes));
  } catch (error) {
    throw new InputError(`not JSON (${messageOf(error).slice(0, 200)})`, { cause: error });
  }
}

function checkFields(value: unknown): ItemFields {
  const parsed = lineSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => {
    if (issue.code !== "unrecognized_keys") return `${[...issue.path, ""].join(".").slice(0, -1)} ${issue.message}`;
    const nearest = nearestNames(issue.keys[0]!, Object.keys(lineSchema.shape), 1)[0];
    return `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}; the nearest is "${nearest}"`;
  });
  throw new InputError(problems.slice(0, 5).join("; ").trim());
}

/** A path seen from `folder`; URLs go on as they are, for the library to take or refuse. */
function placed(source: string, folder: string): string {
  return isAbsolute(source) || /^(data:|[a-z][a-z0-9+.-]*:\/\/)/i.test(source) ? source : join(folder, source);
}
