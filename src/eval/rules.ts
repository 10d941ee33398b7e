/** Rules by which a benchmark's texts are rewritten before they are embedded, dataset by dataset. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { DatasetError, messageOf } from "../errors.ts";
import { readBoundedFile } from "../json.ts";

/** How the texts of one dataset's side are rewritten; steps are taken in this order. */
export interface TextRule {
  /** Whole texts that become others. */
  readonly valueMap?: ReadonlyMap<string, string> | undefined;
  /** What is replaced wherever it occurs. */
  readonly original?: string | undefined;
  readonly replacement?: string | undefined;
  readonly prefix?: string | undefined;
  readonly suffix?: string | undefined;
}

/** Rules of one side, queries or targets. */
export interface RuleSet {
  /** The file's name, `default` or `none`. */
  readonly name: string;
  /** SHA-256 of what they say, in hex; formatting and comments do not count. */
  readonly hash: string;
  /** By the dataset's name. */
  readonly rules: ReadonlyMap<string, TextRule>;
}

/** The authors' files have 10 KB. */
const MAX_BYTES = 1 << 20;
// `key:` with nothing after it is null in YAML, and means "absent".
const text = z.string().nullish();
const schema = z.record(
  z.string(),
  z.strictObject({
    value_map: z.record(z.string(), z.string()).nullish(),
    original: text,
    replacement: text,
    prefix_add: text,
    suffix_add: text,
  }),
);

/** No rewriting. */
export const NO_RULES: RuleSet = ruleSet("none", new Map());

/** Rules under a name, hashed. */
export function ruleSet(name: string, rules: ReadonlyMap<string, TextRule>): RuleSet {
  const said = [...rules]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([dataset, { valueMap, original, replacement, prefix, suffix }]) => [
      dataset,
      [...(valueMap ?? [])],
      original ?? null,
      replacement ?? "",
      prefix ?? "",
      suffix ?? "",
    ]);
  return { name, hash: createHash("sha256").update(JSON.stringify(said)).digest("hex"), rules };
}

/**
 * Reads a YAML file in the format of RGE's authors: `original` and `replacement`, `prefix_add`, `suffix_add` and
 * `value_map` under each dataset's name.
 * @throws {DatasetError} no such file, no YAML, a name twice, an unknown key, a value that is no string
 */
export function readRules(file: string): RuleSet {
  const bytes = readBoundedFile(file, MAX_BYTES);
  if (bytes === undefined) throw new DatasetError(`${file}: no such file of rules`);
  let value: unknown;
  try {
    value = parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes), { maxAliasCount: 0 });
  } catch (error) {
    throw new DatasetError(`${file}: not YAML (${messageOf(error)})`, { cause: error });
  }
  const parsed = schema.safeParse(value ?? {});
  if (!parsed.success) throw new DatasetError(`${file}: ${z.prettifyError(parsed.error)}`);
  const rules = Object.entries(parsed.data).map(([dataset, said]): [string, TextRule] => {
    if (said.original === "" || (said.original == null && said.replacement))
      throw new DatasetError(`${file}: ${dataset} has a replacement for nothing; give \`original\` a text`);
    return [
      dataset,
      {
        valueMap: said.value_map == null ? undefined : new Map(Object.entries(said.value_map)),
        original: said.original ?? undefined,
        replacement: said.replacement ?? undefined,
        prefix: said.prefix_add ?? undefined,
        suffix: said.suffix_add ?? undefined,
      },
    ];
  });
  return ruleSet(basename(file), new Map(rules));
}
