/** For `npx vitest run --config test/docker/vitest.config.ts`; `npm test` does not need Docker and leaves this out. */
import { defineConfig } from 'vitest/config';

// eslint-disable-next-line no-restricted-syntax -- where vitest looks for its configuration
export default defineConfig({
  test: {
    include: ['test/docker/*.docker.ts'],
    reporters: ['verbose'],
    testTimeout: 90_000,
    // The first one builds the image.
    hookTimeout: 300_000,
  },
});
