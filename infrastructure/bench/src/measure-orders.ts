// What is measured with a whole platform: (c) latency, (d) throughput, (e) memory.
import type { Wanted } from './arguments.ts';
import { startBench } from './bench-platform.ts';
import { createFloor } from './floor.ts';
import { describeServers } from './machine.ts';
import { measureLatency } from './measure-latency.ts';
import { measureThroughput, warmUp } from './measure-throughput.ts';
import type { Section } from './report.ts';
import type { Workshop } from './workshop.ts';

export async function measureOrders(
  workshop: Workshop,
  { only, isQuick, portOffset, runs = isQuick ? 1 : 5 }: Wanted,
  tell: (line: string) => void,
): Promise<Section[]> {
  const crowds = isQuick ? [16] : [8, 16, 32, 64];
  const bench = await startBench(workshop, portOffset, Math.max(...crowds));
  const floor = await createFloor(bench.servers);
  const servers = await describeServers(bench.platform);
  const sections: Section[] = [];
  try {
    if (only.has('latency')) {
      await warmUp(bench.shop, isQuick ? 60 : 300);
      sections.push(
        await measureLatency(bench.shop, floor, {
          runs: isQuick ? 2 * runs : runs,
          ordersEach: isQuick ? 40 : 200,
          tell,
        }),
      );
    }
    if (only.has('throughput') || only.has('memory')) {
      const pace = isQuick
        ? { runs, customers: crowds, trialS: 4, warmUpS: 4, windowS: 5, floorS: 3 }
        : { runs, customers: crowds, trialS: 8, warmUpS: 10, windowS: 20, floorS: 8 };
      const withTracing = only.has('memory');
      const { throughput, memory } = await measureThroughput(bench, floor, pace, tell, withTracing);
      if (only.has('throughput')) sections.push(throughput);
      if (only.has('memory')) sections.push(memory);
    }
    return sections.map((section) => ({ ...section, servers }));
  } finally {
    await floor.stop().catch(() => {});
    await bench.close().catch(() => {});
  }
}
