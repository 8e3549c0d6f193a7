// A barcode scanner that acts as a keyboard: fast keys, then Enter.

const GAP_MS = 90;
const MIN_LENGTH = 4;

/** Call onCode(code) for each scanned code; keys typed into a field are left alone. */
export function onScan(onCode) {
  let code = "";
  let last = 0;
  document.addEventListener("keydown", (event) => {
    if (event.target.matches?.("input, textarea, select")) return;
    if (event.timeStamp - last > GAP_MS) code = "";
    last = event.timeStamp;
    if (event.key.length === 1 && /[\w-]/.test(event.key)) code += event.key;
    else if (event.key === "Enter" && code.length >= MIN_LENGTH) {
      event.preventDefault(); // do not press the focused button
      event.stopPropagation();
      onCode(code);
      code = "";
    }
  }, true);
}
