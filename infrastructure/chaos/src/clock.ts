// Preloaded into a service (`node --import`) whose clock is to be wrong: CLOCK_OFFSET_MS milliseconds ahead, or behind where negative.
const offset = Number(process.env.CLOCK_OFFSET_MS ?? 0);
const Real = Date;

class Shifted extends Real {
  constructor(...parts: [] | [number | string | Date]) {
    if (parts.length === 0) super(Real.now() + offset);
    else super(...(parts as [number]));
  }
  static override now(): number {
    return Real.now() + offset;
  }
}

globalThis.Date = Shifted as DateConstructor;
