/** Which endpoint is asked, and with which key. */
import { UsageError } from "../errors.ts";

/** The variables that may hold a key, the first one first. */
export const KEY_VARIABLES = ["RGE_ENGINE_KEY", "OPENAI_API_KEY"] as const;

/**
 * The address of the completions of an engine that is given with or without `/v1`.
 * @throws {UsageError} no http(s) URL, or one with a password in it
 */
export function completionsUrl(engine: string): URL {
  const url = URL.canParse(engine) ? new URL(engine) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new UsageError(`--engine is ${JSON.stringify(engine)}, expected a URL such as http://localhost:8000/v1`);
  if (url.username !== "" || url.password !== "")
    throw new UsageError(`--engine has a name or password in it; set ${KEY_VARIABLES[0]} instead`);
  const base = url.pathname.replace(/(\/chat\/completions)?\/*$/, "");
  // Some have their version elsewhere: /v1beta/openai.
  const hasVersion = base.split("/").some((part) => /^v\d/.test(part));
  url.pathname = `${base}${hasVersion ? "" : "/v1"}/chat/completions`;
  url.hash = "";
  return url;
}

/**
 * The key for the engine, from the environment alone: a command line can be read by every user of the machine.
 * @throws {UsageError} a key that no header can carry
 */
export function engineKey(env: NodeJS.ProcessEnv): string | undefined {
  const variable = KEY_VARIABLES.find((name) => env[name]?.trim());
  if (variable === undefined) return undefined;
  const key = env[variable]!.trim();
  // Checked here, because fetch would put the key into its own message.
  if (!/^[\x21-\x7e]+$/.test(key)) throw new UsageError(`the key in ${variable} has characters that no key has`);
  return key;
}
