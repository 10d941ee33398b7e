/** A local server that speaks as much of OpenAI's chat protocol as rationales need, and can misbehave. */
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

/** A part of the user's message. */
export interface SeenPart {
  readonly type: string;
  readonly text?: string;
  readonly image_url?: { readonly url: string };
}

/** One request as it arrived. */
export interface SeenChat {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
  readonly instructions: string;
  readonly parts: readonly SeenPart[];
  /** All of the user's texts. */
  readonly text: string;
  readonly atMs: number;
}

/** How the server answers: what the model writes, or a way of going wrong. */
export type Answer =
  | { readonly write: string | null; readonly finish?: string }
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** Breaks off in the middle of the reply. */
  | { readonly cut: true }
  /** Never answers. */
  | { readonly hang: true };

/** A running chat endpoint. */
export class ChatServer implements AsyncDisposable {
  readonly requests: SeenChat[] = [];
  readonly #server: Server;
  readonly #answer: (chat: SeenChat, nth: number) => Answer | Promise<Answer>;

  private constructor(server: Server, answer: (chat: SeenChat, nth: number) => Answer | Promise<Answer>) {
    this.#server = server;
    this.#answer = answer;
  }

  /**
   * Starts a server on a free port of this machine.
   * @param answer called for each request; `nth` counts, from 1, those with the same texts
   */
  static async start(answer: (chat: SeenChat, nth: number) => Answer | Promise<Answer>): Promise<ChatServer> {
    const server = createServer();
    const chat = new ChatServer(server, answer);
    server.on("request", (request, response) => void chat.#handle(request, response));
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return chat;
  }

  /** What `--engine` is to be, without `/v1`. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await json(request)) as { messages: { content: unknown }[] };
    const parts = body.messages[1]!.content as SeenPart[];
    const seen: SeenChat = {
      path: request.url ?? "",
      authorization: request.headers.authorization,
      body: body,
      instructions: body.messages[0]!.content as string,
      parts,
      text: parts.map(({ text = "" }) => text).join(""),
      atMs: performance.now(),
    };
    this.requests.push(seen);
    const nth = this.requests.filter(({ text }) => text === seen.text).length;
    send(response, await this.#answer(seen, nth));
  }
}

function send(response: ServerResponse, answer: Answer): void {
  if ("status" in answer) {
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers }).end(answer.body ?? "");
  } else if ("cut" in answer) {
    response.writeHead(200, { "content-type": "application/json", "content-length": 1000 });
    response.write('{"choices": [{"message": {"conte', () => setImmediate(() => response.destroy()));
  } else if ("write" in answer) {
    const message = { role: "assistant", content: answer.write };
    const reply = {
      id: "1",
      object: "chat.completion",
      choices: [{ index: 0, finish_reason: answer.finish ?? "stop", message }],
    };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(reply));
  }
}
