// The saga matrix with one copy of each service.
import { testMatrix } from './support/matrix.ts';

testMatrix({ name: 'one copy', copies: 1, portOffset: 600 });
