// What holds for one test file and for all of them alike.

/** How many test files run at once. */
export const TEST_CONCURRENCY = 4;

/** How long a test may take; the longest is the README's. */
export const TEST_TIMEOUT_MS = 600_000;
