/** A checkpoint's chat template: Jinja from the hub, so rendered under limits. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createContext, Script, type Context } from "node:vm";
import { Template } from "@huggingface/jinja";
import { z } from "zod";
import { CheckpointError, messageOf } from "../errors.ts";
import { readJsonFile } from "../json.ts";

/** The longest templates on the hub, with tools and all, are some 20 kB. */
const MAX_TEMPLATE_BYTES = 256 * 1024;
/** tokenizer_config.json may list hundreds of added tokens. */
const MAX_CONFIG_BYTES = 8 * 2 ** 20;
/** Rendering takes about a millisecond; a template that loops must not hold the process. */
const MAX_RENDER_MS = 1000;
/** What comes out frames the caller's text, which is not in it yet. */
const MAX_RENDERED_CHARS = 1 << 20;
/** Chats whose text is kept: prompts differ in what stands in them, not in the few frames that are rendered. */
const MAX_KEPT = 8;
/** A template that asks the clock says something else tomorrow. */
const CLOCK = "strftime_now";

/** One turn of a chat, its text as a list of items, which is how processors pass it. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: readonly { readonly type: "text"; readonly text: string }[];
}

const templateText = z.string().min(1).max(MAX_TEMPLATE_BYTES);
const holderSchema = z.object({
  chat_template: z.union([templateText, z.array(z.object({ name: z.string(), template: templateText }))]).nullish(),
  bos_token: z.union([z.string(), z.object({ content: z.string() })]).nullish(),
  eos_token: z.union([z.string(), z.object({ content: z.string() })]).nullish(),
});

/** A parsed template with the tokens that it may mention. */
export class ChatTemplate {
  readonly #render: Script;
  readonly #context: Context;
  readonly #source: string;
  readonly #isTimeless: boolean;
  readonly #kept = new Map<string, string>();

  /**
   * @param template Jinja
   * @param source names it in errors
   * @param tokens `bos_token` and `eos_token`, where the checkpoint has them
   * @throws {CheckpointError} no Jinja that is understood
   */
  constructor(template: string, source: string, tokens: Readonly<Record<string, string>> = {}) {
    this.#source = source;
    this.#isTimeless = !template.includes(CLOCK);
    try {
      const parsed = new Template(template);
      const render = (messages: readonly ChatMessage[]): string =>
        parsed.render({ ...tokens, messages, add_generation_prompt: true });
      // A vm call can be given a time limit, and the limit holds for what it calls outside.
      this.#context = createContext({ render, messages: [] });
      this.#render = new Script("render(messages)");
    } catch (error) {
      throw new CheckpointError(`${source}: ${messageOf(error)}`, { cause: error });
    }
  }

  /**
   * Finds a checkpoint's template: chat_template.jinja, then chat_template.json, then tokenizer_config.json (where a
   * list of named ones means the one called "default").
   * @throws {CheckpointError} none of them has one, or it is damaged or too large
   */
  static load(folder: string): ChatTemplate {
    const configFile = join(folder, "tokenizer_config.json");
    const config = readHolder(configFile);
    const tokens = Object.fromEntries(
      (["bos_token", "eos_token"] as const).flatMap((name) => {
        const token = config?.[name];
        return token === undefined || token === null ? [] : [[name, typeof token === "string" ? token : token.content]];
      }),
    );
    const jinjaFile = join(folder, "chat_template.jinja");
    if (existsSync(jinjaFile)) return new ChatTemplate(readTemplate(jinjaFile), jinjaFile, tokens);
    const jsonFile = join(folder, "chat_template.json");
    for (const [file, holder] of [
      [jsonFile, readHolder(jsonFile)],
      [configFile, config],
    ] as const) {
      const found = holder?.chat_template;
      const template = Array.isArray(found) ? found.find(({ name }) => name === "default")?.template : found;
      if (typeof template === "string") return new ChatTemplate(template, file, tokens);
    }
    throw new CheckpointError(
      `${folder}: no chat template in chat_template.jinja, chat_template.json or tokenizer_config.json. ` +
        "Base models have none: take the instruction-tuned checkpoint.",
    );
  }

  /**
   * The text of a chat up to where the assistant's answer begins.
   * @throws {CheckpointError} the template refuses, takes longer than a second, or writes more than 2^20 characters
   */
  render(messages: readonly ChatMessage[]): string {
    const key = JSON.stringify(messages);
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const text = this.#renderAnew(messages);
    if (this.#isTimeless && this.#kept.size < MAX_KEPT) this.#kept.set(key, text);
    return text;
  }

  #renderAnew(messages: readonly ChatMessage[]): string {
    this.#context["messages"] = messages;
    let text: unknown;
    try {
      text = this.#render.runInContext(this.#context, { timeout: MAX_RENDER_MS });
    } catch (error) {
      throw new CheckpointError(`${this.#source}: ${messageOf(error)}`, { cause: error });
    }
    if (typeof text === "string" && text.length <= MAX_RENDERED_CHARS) return text;
    throw new CheckpointError(`${this.#source}: writes more than ${MAX_RENDERED_CHARS} characters`);
  }
}

function readHolder(file: string): z.infer<typeof holderSchema> | undefined {
  const json = readJsonFile(file, { maxBytes: MAX_CONFIG_BYTES, missing: "undefined" });
  if (json === undefined) return undefined;
  const parsed = holderSchema.safeParse(json);
  if (!parsed.success) throw new CheckpointError(`${file}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function readTemplate(file: string): string {
  const { size } = statSync(file);
  if (size > MAX_TEMPLATE_BYTES) throw new CheckpointError(`${file}: ${size} bytes, limit ${MAX_TEMPLATE_BYTES}`);
  return readFileSync(file, "utf8");
}
