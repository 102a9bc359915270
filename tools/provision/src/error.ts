/** Says what was tried to get a tool, why each way failed and what to install. */
export class ProvisionError extends Error {
  override readonly name = 'ProvisionError';
}
