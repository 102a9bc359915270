/** The one jest configuration: TypeScript through swc as native ES modules, one project root per run. */
export const preset = (rootDir) => ({
  rootDir,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2024' },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  testMatch: ['<rootDir>/**/*.spec.ts', '<rootDir>/**/*.e2e.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  testTimeout: 30_000,
  // The end-to-end tests of the mesh mostly wait for real servers; two of them share the time.
  maxWorkers: rootDir.endsWith('/apps/mesh') ? 2 : 1,
});
