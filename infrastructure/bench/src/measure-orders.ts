// What is measured with whole platforms: (c) latency, (d) throughput, (e) memory.
import type { Wanted } from './arguments.ts';
import { startBench } from './bench-platform.ts';
import { createFloor } from './floor.ts';
import { describeServers } from './machine.ts';
import { measureLatency } from './measure-latency.ts';
import { measureThroughput, type Pace, warmUp } from './measure-throughput.ts';
import type { Section } from './report.ts';
import { SECOND_PLATFORM, type Workshop } from './workshop.ts';

export async function measureOrders(
  workshop: Workshop,
  { only, isQuick, portOffset, runs = isQuick ? 1 : 5 }: Wanted,
  tell: (line: string) => void,
): Promise<Section[]> {
  const pace: Pace = isQuick
    ? { runs, customers: [16], warmUpOrders: 100, slices: 2, sliceS: 4, floorS: 2 }
    : { runs, customers: [8, 16, 32], warmUpOrders: 500, slices: 3, sliceS: 8, floorS: 4 };
  const customers = Math.max(...pace.customers);
  const plain = await startBench(workshop, { name: 'platform', portOffset, customers });
  const floor = await createFloor(plain.servers);
  const servers = await describeServers(plain.platform);
  const sections: Section[] = [];
  if (only.has('latency')) {
    await warmUp(plain.shop, isQuick ? 60 : 300);
    const pace = isQuick ? { runs: 2 * runs, ordersEach: 40 } : { runs, ordersEach: 200 };
    sections.push(await measureLatency(plain.shop, floor, { ...pace, tell }));
  }
  if (only.has('throughput') || only.has('memory')) {
    const second = { name: 'traced', portOffset: portOffset + SECOND_PLATFORM, customers, tracedShare: 0.05 };
    const traced = await startBench(workshop, second);
    const { throughput, memory } = await measureThroughput({ plain, traced, floor }, pace, tell);
    if (only.has('throughput')) sections.push(throughput);
    if (only.has('memory')) sections.push(memory);
    await traced.close();
  }
  await floor.stop();
  await plain.close();
  return sections.map((section) => ({ ...section, servers }));
}
