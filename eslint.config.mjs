import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';
import { depConstraints } from './tools/repo/src/boundaries.ts';
import { RATCHET } from './tools/repo/src/ratchet.ts';

const TESTS = [
  '**/*.spec.ts',
  '**/*.e2e.ts',
  '**/{e2e,test,fixtures}/**/*.ts',
  'libs/testing/**/*.ts',
  'deploy/chart-tests/**/*.ts',
];
/** The host composes the apps; nx takes them for programs that nobody may import. */
const APPS = ['emesher', 'store-gateway', 'registry', 'acl', 'governance'];

/** What not to import, and what instead. */
const BANNED_IMPORTS = [
  ['axios', 'use the global fetch'],
  ['node-fetch', 'use the global fetch'],
  ['lodash', 'use the language'],
  ['moment', 'use milliseconds since the epoch'],
  ['uuid', 'use randomUUID from node:crypto'],
  ['etcd3', 'use @eventmesh/kv-api; the client is wrapped in libs/kv/etcd'],
  ['@grpc/grpc-js', 'use @eventmesh/rpc, which knows deadlines, limits and errors'],
  [
    'lmdb',
    'use @eventmesh/store-api or @eventmesh/kv-api; lmdb is wrapped in the embedded plugins',
  ],
  ['dotenv', 'use @eventmesh/config'],
].map(([name, message]) => ({ name, message }));
const BANNED_PATTERNS = [
  { regex: '^@eventmesh/[^/]+/src', message: 'import through the package, not into its folders' },
  { regex: '^(fs|path|os|net|http|https|crypto|events|stream|util|url)$', message: 'use node:…' },
];
const restrictImports = (except = []) => [
  'error',
  {
    paths: BANNED_IMPORTS.filter(({ name }) => !except.includes(name)),
    patterns: BANNED_PATTERNS,
  },
];

const PROCESS_ENV = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: 'read settings through @eventmesh/config; only it and the tools read the environment',
};
const PARTIAL_SYNTAX = {
  selector: 'TSEnumDeclaration, TSParameterProperty, TSModuleDeclaration',
  message: 'Node runs this file as it is: no enums, parameter properties or namespaces',
};

const boundaries = ({ forTests = false, allow = [] } = {}) => [
  'error',
  {
    enforceBuildableLibDependency: false,
    allowCircularSelfDependency: false,
    banTransitiveDependencies: false,
    allow,
    depConstraints: depConstraints(forTests),
  },
];

export default tseslint.config(
  {
    ignores: [
      '**/node_modules/**',
      '**/dist/**',
      '.cache/**',
      '.mesh/**',
      '.nx/**',
      'libs/proto-gen/src/generated/**',
      '**/*.mjs',
      '**/*.js',
      '**/*.cjs',
    ],
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    plugins: { '@nx': nx },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: {
      parserOptions: {
        project: './tsconfig.json',
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@nx/enforce-module-boundaries': boundaries(),
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-call': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        {
          argsIgnorePattern: '^_',
          // A configuration is declared as a value from which its type is inferred.
          varsIgnorePattern: '^(_|settings$|sample$)',
          ignoreRestSiblings: true,
        },
      ],
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      'max-lines': ['error', 600],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
      'no-empty': 'error',
      'no-restricted-imports': restrictImports(),
      'no-restricted-syntax': ['error', PROCESS_ENV, PARTIAL_SYNTAX],
    },
  },
  {
    // The folders that wrap a package are where it is imported.
    files: ['libs/kv/etcd/src/etcd3-client.ts'],
    rules: { 'no-restricted-imports': restrictImports(['etcd3']) },
  },
  {
    files: ['libs/kv/embedded/**/*.ts', 'libs/store/embedded/**/*.ts', 'tools/bench/**/*.ts'],
    rules: { 'no-restricted-imports': restrictImports(['lmdb']) },
  },
  {
    files: ['libs/rpc/**/*.ts', 'libs/testing/**/*.ts'],
    rules: { 'no-restricted-imports': restrictImports(['@grpc/grpc-js']) },
  },
  {
    files: ['libs/config/**/*.ts', 'tools/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', PARTIAL_SYNTAX] },
  },
  {
    files: ['apps/mesh/**/*.ts'],
    rules: {
      '@nx/enforce-module-boundaries': boundaries({
        allow: APPS.map((app) => `@eventmesh/${app}`),
      }),
      'no-console': 'off',
    },
  },
  {
    files: ['tools/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['**/*.d.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    files: TESTS,
    rules: {
      '@nx/enforce-module-boundaries': boundaries({ forTests: true }),
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      'max-lines-per-function': 'off',
      'no-restricted-imports': restrictImports(['@grpc/grpc-js', 'lmdb']),
      'no-restricted-syntax': ['error', PARTIAL_SYNTAX],
    },
  },
  // Old debt, which may only shrink.
  ...RATCHET.map(({ file, lines }) => ({
    files: [file],
    rules: {
      'max-lines-per-function': ['error', { max: lines, skipBlankLines: true, skipComments: true }],
    },
  })),
);
