// The battery: when it is low the page looks less often, and says so once.

const LOW = 0.2;

/** Tell whenever it becomes low, or is so no more; a browser that does not say how it is tells nothing. */
export async function onPower(tell) {
  const battery = await navigator.getBattery?.().catch(() => null);
  if (!battery) return;
  let low = false;
  const judge = () => {
    const now = !battery.charging && battery.level <= LOW;
    if (now !== low) tell(now);
    low = now;
  };
  battery.addEventListener("levelchange", judge);
  battery.addEventListener("chargingchange", judge);
  judge();
}
