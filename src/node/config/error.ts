/** How a configuration that cannot be used is reported. */

/** What is wrong with one setting. `path` is empty for the configuration as a whole. */
export interface ConfigIssue {
  readonly path: string;
  readonly message: string;
  /** File, variable or flag; undefined for a default or a setting that is missing. */
  readonly origin: string | undefined;
}

/** The configuration cannot be used. `issues` has every reason; the message lists them, a line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    super(`the configuration is not valid:\n${issues.map((issue) => `  ${describeIssue(issue)}`).join('\n')}`);
    this.issues = issues;
  }
}

function describeIssue({ path, message, origin }: ConfigIssue): string {
  const where = origin === undefined ? '' : path === '' ? origin : ` (${origin})`;
  return `${path}${where}: ${message}`;
}
