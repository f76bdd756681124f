// Every way in which the platform is broken.
import type { Scenario } from '../scenario.ts';
import { clockScenarios } from './clocks.ts';
import { customerScenarios } from './customers.ts';
import { messageScenarios } from './messages.ts';
import { networkScenarios } from './network.ts';
import { flood } from './overload.ts';
import { processScenarios } from './processes.ts';
import { providerScenarios } from './provider.ts';
import { serverScenarios } from './servers.ts';
import { soak } from './soak.ts';

export const scenarios: readonly Scenario[] = [
  ...customerScenarios,
  ...processScenarios,
  ...serverScenarios,
  ...networkScenarios,
  ...providerScenarios,
  ...messageScenarios,
  ...clockScenarios,
  flood,
  soak,
];
