import eslint from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

/** Where the outside world may be touched: clocks, randomness, the file system, the network, the process. */
const outsideWorld = [
  'src/platform/**',
  'src/node/**',
  'src/cli/**',
  'src/client/**',
  'bench/**',
  'jepsen-lite/**',
  'test/**',
  '*.config.*',
];

const restrictedModules = [
  'fs',
  'fs/promises',
  'net',
  'http',
  'http2',
  'child_process',
  'worker_threads',
  'timers',
].flatMap((name) => [name, `node:${name}`]);

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.quorate/**', 'docs/examples/**'] },
  eslint.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  prettier,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', '.*.cjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'No default exports.' },
        { selector: 'ExportAllDeclaration', message: 'No wildcard re-exports.' },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: outsideWorld,
    rules: {
      'no-restricted-imports': ['error', { paths: restrictedModules }],
      'no-restricted-globals': [
        'error',
        { name: 'setTimeout', message: 'Use env.Clock.' },
        { name: 'setInterval', message: 'Use env.Clock.' },
        { name: 'setImmediate', message: 'Use env.Clock.' },
        { name: 'process', message: 'Only platform, node and cli may touch the process.' },
        { name: 'performance', message: 'Use env.Clock.' },
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Use env.Clock.' },
        { object: 'Math', property: 'random', message: 'Use base/prng.' },
      ],
    },
  },
  { files: ['src/cli/**', 'bench/**', 'jepsen-lite/**'], rules: { 'no-console': 'off' } },
  {
    files: ['*.config.*', '**/*.js', '.*.cjs'],
    ...tseslint.configs.disableTypeChecked,
    rules: {
      ...tseslint.configs.disableTypeChecked.rules,
      'no-restricted-syntax': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
    },
  },
  { files: ['.*.cjs'], languageOptions: { globals: { module: 'writable' } } },
);
