// The saga matrix with two copies of each service that hears of events: both have an event in hand when it comes twice.
import { testMatrix } from './support/matrix.ts';

testMatrix({ name: 'two copies', copies: 2, portOffset: 1_050 });
