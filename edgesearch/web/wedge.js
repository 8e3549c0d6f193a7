// A barcode scanner that types: digits faster than fingers, and Enter.

const GAP_MS = 90;
const SHORTEST = 4;

/** Tell each code that a scanner types; while somebody writes in a field it is theirs. */
export function onScan(tell) {
  let code = "";
  let last = 0;
  document.addEventListener("keydown", (event) => {
    if (event.target.matches?.("input, textarea, select")) return;
    if (event.timeStamp - last > GAP_MS) code = "";
    last = event.timeStamp;
    if (event.key.length === 1 && /[\w-]/.test(event.key)) code += event.key;
    else if (event.key === "Enter" && code.length >= SHORTEST) {
      event.preventDefault(); // not a press of the button that has the focus
      event.stopPropagation();
      tell(code);
      code = "";
    }
  }, true);
}
