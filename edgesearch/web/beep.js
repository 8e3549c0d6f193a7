// Beeps and vibration: three signals that people can distinguish without the screen.

import { pref } from "./prefs.js";

const TONES = { // tones: Hz and seconds; shake: milliseconds of vibration and pause
  good: { tones: [[880, 0.07], [1320, 0.1]], shake: [40] },
  ask: { tones: [[520, 0.1], [0, 0.05], [520, 0.1]], shake: [60, 60, 60] },
  bad: { tones: [[200, 0.28]], shake: [250] },
};
let context = null;

/** Play a signal, unless the person switched signals off or the device cannot. */
export function beep(name) {
  if (!pref("sound")) return;
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(TONES[name].shake);
  try {
    context ??= new AudioContext();
    let start = context.currentTime;
    for (const [hertz, seconds] of TONES[name].tones) {
      if (hertz) playTone(hertz, start, seconds);
      start += seconds;
    }
  } catch { /* no sound on this device; the screen shows the same */ }
}

function playTone(hertz, start, seconds) {
  const [source, gain] = [context.createOscillator(), context.createGain()];
  source.frequency.value = hertz;
  gain.gain.setValueAtTime(0.0001, start);
  gain.gain.exponentialRampToValueAtTime(0.25, start + 0.01); // a hard edge would click
  gain.gain.exponentialRampToValueAtTime(0.0001, start + seconds);
  source.connect(gain).connect(context.destination);
  source.start(start);
  source.stop(start + seconds);
}
