// Lets crash points come one after the other, each only while the services that its work passes are there: who meets one that is away waits for
// it, and shows what happens there instead.
export function createTurns() {
  const away = new Set<string>();
  const waiting: { needs: readonly string[]; begin: () => void }[] = [];
  let isTaken = false;

  const next = () => {
    const index = isTaken ? -1 : waiting.findIndex(({ needs }) => needs.every((name) => !away.has(name)));
    if (index < 0) return;
    isTaken = true;
    waiting.splice(index, 1)[0]?.begin();
  };

  return {
    /**
     * Waits for a turn; of all that could begin, whoever asked first.
     * @param needs the services that have to be there; after `work`, the first of them is away
     * @returns what `work` returns, and what is to be called when the service is back
     */
    async take<T extends object>(
      needs: readonly [string, ...string[]],
      work: () => Promise<T>,
    ): Promise<T & { isBack: () => void }> {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ needs, begin: resolve });
      next();
      await promise;
      try {
        const result = await work();
        const [name] = needs;
        away.add(name);
        const isBack = () => {
          away.delete(name);
          next();
        };
        return { ...result, isBack };
      } finally {
        isTaken = false;
        next();
      }
    },
  };
}
