export { createServer, type RgeServer, type ServerOptions } from "./app.ts";
export type { ServerLimits } from "./context.ts";
export { KeyRing, newKey } from "./keys.ts";
