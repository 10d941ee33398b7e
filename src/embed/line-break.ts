/** RGE's texts end in a line break, in training and in evaluation (method.md 1.3). */
export function withBreak(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}
