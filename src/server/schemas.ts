/** Schemas that several routes share. */
import { z } from "zod";
import type { Filter } from "../store/store.ts";
import type { ErrorBody } from "./errors.ts";

const error: z.ZodType<ErrorBody> = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string().nullable() }),
});

/** What any route may answer beside its own. */
export const errorResponses: { readonly "4xx": z.ZodType<ErrorBody>; readonly "5xx": z.ZodType<ErrorBody> } = {
  "4xx": error.describe("The request's fault: what is wrong, and where."),
  "5xx": error.describe("503: the server is stopping; 504: not done in time; 500: its own fault or its store's."),
};

/** Numbers that a filter compares. */
const value = z.union([z.string().max(10_000), z.number(), z.boolean()]);
export const filterSchema: z.ZodType<Filter> = z
  .record(
    z.string().max(64),
    z.union([
      value,
      z.strictObject({
        eq: value.optional(),
        ne: value.optional(),
        in: z.array(value).max(1000).optional(),
        lt: z.number().optional(),
        lte: z.number().optional(),
        gt: z.number().optional(),
        gte: z.number().optional(),
      }),
    ]),
  )
  .describe("Conditions on metadata by key, all of which hold; a value alone means equal.");
