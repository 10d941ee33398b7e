/** Conditions on metadata: tested here, or as SQL. */
import { StoreError } from "../errors.ts";
import type { Condition, Filter, Metadata, MetadataValue } from "./store.ts";

const OPERATORS = ["eq", "ne", "in", "lt", "lte", "gt", "gte"] as const;
type Operator = (typeof OPERATORS)[number];
const SQL: Readonly<Record<Exclude<Operator, "in">, string>> = {
  eq: "=",
  ne: "<>",
  lt: "<",
  lte: "<=",
  gt: ">",
  gte: ">=",
};

/** One condition of a filter. */
interface Test {
  readonly key: string;
  readonly operator: Operator;
  readonly value: MetadataValue | readonly MetadataValue[];
}

/** @throws {StoreError} an operator or a value that is none */
function testsOf(filter: Filter): Test[] {
  return Object.entries(filter).flatMap(([key, wanted]) => {
    const condition: Condition = typeof wanted === "object" ? wanted : { eq: wanted };
    return Object.entries(condition).flatMap(([name, value]): Test[] => {
      if (value === undefined) return [];
      const operator = OPERATORS.find((it) => it === name);
      if (operator === undefined) throw new StoreError(`filter ${key}: ${name} is none of ${OPERATORS.join(", ")}`);
      const values: unknown[] = operator === "in" && Array.isArray(value) ? value : [value];
      const isOrder = operator.startsWith("l") || operator.startsWith("g");
      const isRight = values.every((it) =>
        isOrder ? Number.isFinite(it) : typeof it === "string" || typeof it === "boolean" || Number.isFinite(it),
      );
      if (!isRight || (operator === "in") !== Array.isArray(value))
        throw new StoreError(
          `filter ${key}: ${operator} wants ${operator === "in" ? "a list of values" : isOrder ? "a number" : "a string, number or boolean"}`,
        );
      return [{ key, operator, value: value as Test["value"] }];
    });
  });
}

/** A function that tells whether metadata fulfil the filter. */
export function matcherOf(filter: Filter | undefined): (metadata: Metadata) => boolean {
  const tests = testsOf(filter ?? {});
  return (metadata) => tests.every((test) => holds(test, metadata[test.key]));
}

function holds({ operator, value }: Test, actual: MetadataValue | undefined): boolean {
  if (actual === undefined) return operator === "ne";
  if (operator === "eq") return actual === value;
  if (operator === "ne") return actual !== value;
  if (operator === "in") return (value as readonly MetadataValue[]).includes(actual);
  if (typeof actual !== "number") return false;
  return COMPARISONS[operator](actual, value as number);
}

const COMPARISONS = {
  lt: (actual: number, value: number): boolean => actual < value,
  lte: (actual: number, value: number): boolean => actual <= value,
  gt: (actual: number, value: number): boolean => actual > value,
  gte: (actual: number, value: number): boolean => actual >= value,
};

/** The type of a metadata column. */
export type ColumnType = "string" | "number" | "boolean";

/**
 * The filter as SQL over columns named by `columnOf`; `undefined` without conditions. A value of another type than the
 * column's is equal to none of it.
 * @param types of the columns that there are
 */
export function sqlOf(
  filter: Filter | undefined,
  types: ReadonlyMap<string, ColumnType>,
  columnOf: (key: string) => string,
): string | undefined {
  const parts = testsOf(filter ?? {}).map(({ key, operator, value }) => {
    const type = types.get(key);
    const never = operator === "ne" ? "true" : "false";
    if (type === undefined) return never;
    const column = columnOf(key);
    if (operator === "in") {
      const values = (value as readonly MetadataValue[]).filter((it) => typeof it === type);
      return values.length === 0 ? "false" : oneOf(column, values);
    }
    if (typeof value !== type) return never;
    const test = `${column} ${SQL[operator]} ${literal(value as MetadataValue)}`;
    return operator === "ne" ? `(${column} IS NULL OR ${test})` : test;
  });
  return parts.length === 0 ? undefined : parts.map((part) => `(${part})`).join(" AND ");
}

/** SQL for a column that has one of the values. */
export function oneOf(column: string, values: readonly MetadataValue[]): string {
  return `${column} IN (${values.map(literal).join(", ")})`;
}

function literal(value: MetadataValue): string {
  return typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);
}
