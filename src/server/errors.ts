/** What a client is told when something goes wrong: OpenAI's shape, one place. */
import type { FastifyError } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { AbsentError, DatasetError, InputError, RationaleError, StoreError, StoreFailure } from "../errors.ts";

/** OpenAI's error body. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** An answer that is an error: thrown by handlers, told to the client as it is. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    { param = null, headers = {} }: { param?: string | null; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.name = new.target.name;
    this.status = status;
    this.code = code;
    this.param = param;
    this.headers = headers;
  }
}

/** The status, headers and body for whatever was thrown. */
export function answerOf(error: unknown): {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: ErrorBody;
} {
  if (error instanceof HttpError) {
    const { status, code, message, param, headers } = error;
    return { status, headers, body: bodyOf(status, message, code, param) };
  }
  // The requests' fault: what was sent cannot be used.
  if (error instanceof InputError || error instanceof DatasetError || error instanceof RationaleError)
    return { status: 400, headers: {}, body: bodyOf(400, error.message, "invalid_input", null) };
  if (error instanceof AbsentError)
    return { status: 404, headers: {}, body: bodyOf(404, error.message, "not_found", null) };
  // What the disk says about our folders is for the log.
  if (error instanceof StoreFailure)
    return {
      status: 500,
      headers: {},
      body: bodyOf(500, "the store failed; the server's log says more, under this request's id", "store_failed", null),
    };
  if (error instanceof StoreError) return { status: 400, headers: {}, body: bodyOf(400, error.message, "store", null) };
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [first] = error.validation;
    const param = first === undefined ? null : first.instancePath.slice(1).replaceAll("/", ".");
    const message = error.validation.map((it) => `${it.instancePath.slice(1) || "body"}: ${it.message}`).join("; ");
    return { status: 400, headers: {}, body: bodyOf(400, message, "invalid_request", param || null) };
  }
  const { statusCode, code, message } = error as Partial<FastifyError>;
  // Fastify's own: a body too large, not JSON, of another media type.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return { status: statusCode, headers: {}, body: bodyOf(statusCode, message ?? "bad request", code ?? null, null) };
  return {
    status: 500,
    headers: {},
    body: bodyOf(500, "an error of the server; its log says more, under this request's id", "internal", null),
  };
}

function bodyOf(status: number, message: string, code: string | null, param: string | null): ErrorBody {
  return { error: { message, type: typeOf(status), param, code } };
}

/** OpenAI's names. */
function typeOf(status: number): string {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}
