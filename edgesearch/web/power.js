// The battery: when it is low, the page sends fewer frames and says so once.

const LOW = 0.2;

/** Call tell(low) when the battery becomes low or recovers; some browsers never report it. */
export async function onPower(tell) {
  const battery = await navigator.getBattery?.().catch(() => null);
  if (!battery) return;
  let low = false;
  const check = () => {
    const now = !battery.charging && battery.level <= LOW;
    if (now !== low) tell(now);
    low = now;
  };
  battery.addEventListener("levelchange", check);
  battery.addEventListener("chargingchange", check);
  check();
}
