// Beeps and vibration: three feelings that are told apart without looking.

import { pref } from "./prefs.js";

const TONES = { // Hz and seconds, one after the other; milliseconds of vibration and pause
  good: { tones: [[880, 0.07], [1320, 0.1]], shake: [40] },
  ask: { tones: [[520, 0.1], [0, 0.05], [520, 0.1]], shake: [60, 60, 60] },
  bad: { tones: [[200, 0.28]], shake: [250] },
};
let context = null;

/** Make one felt and heard, where the person wants it and the device can. */
export function feel(name) {
  if (!pref("sound")) return;
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(TONES[name].shake);
  try {
    context ??= new AudioContext();
    let at = context.currentTime;
    for (const [hertz, seconds] of TONES[name].tones) {
      if (hertz) tone(hertz, at, seconds);
      at += seconds;
    }
  } catch { /* no sound here: the screen says it too */ }
}

function tone(hertz, at, seconds) {
  const [source, gain] = [context.createOscillator(), context.createGain()];
  source.frequency.value = hertz;
  gain.gain.setValueAtTime(0.0001, at);
  gain.gain.exponentialRampToValueAtTime(0.25, at + 0.01); // a hard edge would click
  gain.gain.exponentialRampToValueAtTime(0.0001, at + seconds);
  source.connect(gain).connect(context.destination);
  source.start(at);
  source.stop(at + seconds);
}
