// The battery: when it is low, the page sends fewer frames and reports it once.

const LOW = 0.2;

/** Call notify(low) when the battery becomes low or recovers; some browsers never report it. */
export async function onPower(notify) {
  const battery = await navigator.getBattery?.().catch(() => null);
  if (!battery) return;
  let low = false;
  const check = () => {
    const now = !battery.charging && battery.level <= LOW;
    if (now !== low) notify(now);
    low = now;
  };
  battery.addEventListener("levelchange", check);
  battery.addEventListener("chargingchange", check);
  check();
}
