import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist/', '.tap/', 'node_modules/'] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: ['./tsconfig.json', './lib/http/page/app/tsconfig.json'] },
    },
    rules: {
      // Numbers in messages are meant to be there.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // Errors from below are passed on as they came.
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
    },
  },
  {
    files: ['test/**'],
    rules: {
      // tap itself waits for the tests it is given.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: '@tapjs/core', name: ['test'] },
            { from: 'package', package: '@tapjs/test', name: ['test'] },
          ],
        },
      ],
    },
  },
  { files: ['.*.js', '.*.cjs'], ...tseslint.configs.disableTypeChecked },
);
