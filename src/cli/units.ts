/** Amounts as people read them. */

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** `1536` -> `"1.5 KiB"`; one decimal below a hundred. */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1023.95 && unit < BYTE_UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${amount.toFixed(unit > 0 && amount < 99.95 ? 1 : 0)} ${BYTE_UNITS[unit]}`;
}

/** `850` -> `"850 ms"`, `4200` -> `"4.2 s"`, `92_000` -> `"1m 32s"`, `7_380_000` -> `"2h 03m"`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${twoDigits(seconds % 60)}s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)}h ${twoDigits(minutes % 60)}m`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** `3754622976` -> `"3,754,622,976"`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}
