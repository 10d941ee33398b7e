import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CheckpointError } from "../../../src/errors.ts";
import { ChatTemplate, type ChatMessage } from "../../../src/input/chat-template.ts";

const HELLO: ChatMessage[] = [{ role: "user", content: [{ type: "text", text: "hello" }] }];

/** What `ChatTemplate.load` renders from a folder with these files. */
function renderFrom(files: Record<string, unknown>): string {
  const folder = mkdtempSync(join(tmpdir(), "rge-template-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
    }
    return ChatTemplate.load(folder).render(HELLO);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("each of the hub's four places for a template is read, the Jinja file first", () => {
  const config = { chat_template: "from config", eos_token: { content: "<end>" }, added_tokens_decoder: {} };
  const named = [
    { name: "tool_use", template: "tools" },
    { name: "default", template: "named {{ eos_token }}" },
  ];
  assert.equal(renderFrom({ "tokenizer_config.json": config }), "from config");
  assert.equal(renderFrom({ "tokenizer_config.json": { ...config, chat_template: named } }), "named <end>");
  assert.equal(
    renderFrom({ "tokenizer_config.json": config, "chat_template.json": { chat_template: "json" } }),
    "json",
  );
  assert.equal(
    renderFrom({ "chat_template.jinja": "jinja", "chat_template.json": { chat_template: "json" } }),
    "jinja",
  );
});

test("messages reach the template as lists of text items, open for the assistant", () => {
  const source =
    "{% for m in messages %}[{{ m.role }}]{% for part in m.content %}{% if 'text' in part %}{{ part.text }}{% endif %}" +
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
  assert.equal(new ChatTemplate(source, "test").render(HELLO), "[user]hello[assistant]");
});

test("a folder without a template is an error that says so", () => {
  assert.throws(() => renderFrom({ "tokenizer_config.json": {} }), /no chat template/);
});

test("a template that refuses, or that is no Jinja, is a CheckpointError with its file", () => {
  const refusing = new ChatTemplate("{{ raise_exception('no system turn') }}", "a.jinja");
  assert.throws(() => refusing.render(HELLO), { name: "CheckpointError", message: /^a\.jinja: .*no system turn/ });
  assert.throws(() => new ChatTemplate("{% if %}", "b.jinja"), { name: "CheckpointError", message: /^b\.jinja: / });
});

test("a template that never ends or writes too much is stopped", () => {
  const endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
  assert.throws(() => new ChatTemplate(endless, "c.jinja").render(HELLO), CheckpointError);
  const long = "{% for a in range(2000) %}" + "x".repeat(1000) + "{% endfor %}";
  assert.throws(() => new ChatTemplate(long, "d.jinja").render(HELLO), /writes more than/);
  assert.throws(() => renderFrom({ "chat_template.jinja": "x".repeat(300_000) }), /limit 262144/);
});
