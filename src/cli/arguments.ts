/** Reads a command line against a table of options; the same table prints the help. */
import { parseArgs } from "node:util";
import { nearestNames } from "../checkpoint/tensor-names.ts";
import { UsageError } from "../errors.ts";

/** One option of a verb. */
export interface OptionSpec {
  readonly name: string;
  /** What stands for the value in the help; without it the option is a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly multiple?: true;
  /** A switch that `--no-name` turns off. */
  readonly negatable?: true;
  /** What it does, with its default. */
  readonly help: string;
}

/** The options and words that a command line held. Getters name only options of the table. */
export class Arguments {
  readonly positionals: readonly string[];
  readonly #specs: ReadonlyMap<string, OptionSpec>;
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #switches: ReadonlyMap<string, boolean>;

  private constructor(
    specs: ReadonlyMap<string, OptionSpec>,
    positionals: readonly string[],
    values: ReadonlyMap<string, readonly string[]>,
    switches: ReadonlyMap<string, boolean>,
  ) {
    this.positionals = positionals;
    this.#specs = specs;
    this.#values = values;
    this.#switches = switches;
  }

  /** @throws {UsageError} an option that is unknown, lacks its value, has one it does not take, or is given twice */
  static parse(argv: readonly string[], options: readonly OptionSpec[]): Arguments {
    const specs = new Map(options.map((spec) => [spec.name, spec]));
    const config = Object.fromEntries(
      options.map(({ name, value }) => [
        name,
        { type: value === undefined ? ("boolean" as const) : ("string" as const), multiple: true as const },
      ]),
    );
    // Not strict: the messages for what is wrong are made here, where the nearest name is known.
    const { tokens, positionals } = parseArgs({
      args: [...argv],
      options: config,
      strict: false,
      allowPositionals: true,
      tokens: true,
    });
    const values = new Map<string, string[]>();
    const switches = new Map<string, boolean>();
    for (const token of tokens) {
      if (token.kind !== "option") continue;
      const { spec, on } = findSpec(token.name, token.rawName, specs);
      if (spec.value === undefined) {
        if (token.value !== undefined) throw new UsageError(`--${token.name} takes no value, got "${token.value}"`);
        if ((switches.get(spec.name) ?? on) !== on) throw new UsageError(`--${spec.name} is both asked for and denied`);
        switches.set(spec.name, on);
      } else {
        const given = values.get(spec.name) ?? [];
        if (given.length > 0 && !spec.multiple) throw new UsageError(`--${spec.name} is given twice`);
        values.set(spec.name, [...given, valueOf(spec, token)]);
      }
    }
    return new Arguments(specs, positionals, values, switches);
  }

  /** The value of an option, verbatim. */
  text(name: string): string | undefined {
    return this.texts(name)[0];
  }

  /**
   * The value of an option that must be given.
   * @param what how the error says what belongs here
   * @throws {UsageError} absent or empty
   */
  required(name: string, what: string): string {
    const text = this.text(name);
    if (text === undefined || text === "") throw new UsageError(`--${name} is missing: ${what}`);
    return text;
  }

  /** The values of an option that may be given several times, in order. */
  texts(name: string): readonly string[] {
    this.#expect(name);
    return this.#values.get(name) ?? [];
  }

  /**
   * A whole number.
   * @throws {UsageError} anything else, or less than `least`
   */
  whole(name: string, least: number): number | undefined {
    const value = this.number(name, `a whole number from ${least}`);
    if (value !== undefined && (!Number.isSafeInteger(value) || value < least))
      throw new UsageError(`--${name} is a whole number from ${least}, got ${value}`);
    return value;
  }

  /**
   * A finite number.
   * @param expected how the error names what belongs here
   * @throws {UsageError} anything else
   */
  number(name: string, expected = "a number"): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    // Number("") is 0 and Number("0x10") is 16; neither was meant.
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
    if (!Number.isFinite(value)) throw new UsageError(`--${name} is ${expected}, got ${JSON.stringify(text)}`);
    return value;
  }

  /**
   * One of a few words.
   * @throws {UsageError} any other
   */
  choice<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    const word = words.find((it) => it === text);
    if (text !== undefined && word === undefined)
      throw new UsageError(`--${name} is one of ${words.join(", ")}; got ${JSON.stringify(text)}`);
    return word;
  }

  /** Whether a switch is on, off by `--no-name`, or not mentioned. */
  toggle(name: string): boolean | undefined {
    this.#expect(name);
    return this.#switches.get(name);
  }

  /** Whether a switch is on. */
  has(name: string): boolean {
    return this.toggle(name) ?? false;
  }

  /** Those of `names` that the command line mentions. */
  given(names: readonly string[]): string[] {
    return names.filter((name) => this.texts(name).length > 0 || this.toggle(name) !== undefined);
  }

  #expect(name: string): void {
    if (!this.#specs.has(name)) throw new Error(`internal: --${name} is not in the table of options`);
  }
}

function findSpec(
  name: string,
  rawName: string,
  specs: ReadonlyMap<string, OptionSpec>,
): { spec: OptionSpec; on: boolean } {
  const spec = specs.get(name);
  if (spec !== undefined) return { spec, on: true };
  const denied = name.startsWith("no-") ? specs.get(name.slice(3)) : undefined;
  if (denied?.negatable) return { spec: denied, on: false };
  const known = [...specs.values()].flatMap((it) => (it.negatable ? [it.name, `no-${it.name}`] : [it.name]));
  throw new UsageError(`there is no option ${rawName}; the nearest is --${nearestNames(name, known, 1)[0]}`);
}

function valueOf(
  { name, value: placeholder }: OptionSpec,
  { value, inlineValue }: { value: string | undefined; inlineValue: boolean | undefined },
): string {
  // `--text --image x` is a forgotten text, `--input -` and `--top-p -1` are not.
  const isForgotten = value === undefined || (!inlineValue && /^-[^\d.]/.test(value));
  if (!isForgotten) return value;
  const hint = value === undefined ? "" : `; to give one that starts with a dash, write --${name}=${value}`;
  throw new UsageError(`--${name} wants a value (${placeholder})${hint}`);
}
