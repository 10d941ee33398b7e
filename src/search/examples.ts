/** Questions that a page offers to those who do not know what to ask. */
import { z } from "zod";
import { StoreError } from "../errors.ts";

/** A question, perhaps about the picture of an item. */
export interface ExampleQuestion {
  readonly text: string;
  /** The item whose picture goes with the text. */
  readonly item?: string | undefined;
}

const examples: z.ZodType<ExampleQuestion[]> = z.array(
  z.object({ text: z.string().min(1).max(10_000), item: z.string().max(4096).optional() }),
);

/**
 * Reads questions.
 * @throws {StoreError} what is no list of them, naming the file
 */
export function parseExamples(text: string, file: string): ExampleQuestion[] {
  try {
    return examples.parse(JSON.parse(text));
  } catch (error) {
    throw new StoreError(`${file} is no list of questions ({"text", "item"}); remove it or mend it`, { cause: error });
  }
}
