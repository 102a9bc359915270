/**
 * Who may import whom (docs/ARCHITECTURE.md). The lint configuration turns these rows into rules, and
 * `boundaries.spec.ts` holds them against the tags that really exist.
 */
export interface BoundaryRow {
  readonly layer: string;
  /** The layers a project of this layer may import. */
  readonly mayImport: readonly string[];
  /** Third-party packages are banned. */
  readonly noThirdParty?: true;
}

const BELOW_APPS = ['core', 'gen', 'codec', 'contract', 'platform', 'client', 'plugin'] as const;

export const BOUNDARIES: readonly BoundaryRow[] = [
  { layer: 'core', mayImport: ['core'], noThirdParty: true },
  { layer: 'gen', mayImport: ['gen'] },
  { layer: 'codec', mayImport: ['core', 'gen', 'contract'] },
  { layer: 'contract', mayImport: ['core', 'contract'] },
  { layer: 'platform', mayImport: ['core', 'platform', 'gen'] },
  { layer: 'client', mayImport: ['core', 'codec', 'contract', 'gen', 'platform', 'client'] },
  { layer: 'plugin', mayImport: ['contract', 'core', 'codec', 'platform', 'gen'] },
  // Names plugins on behalf of several apps.
  { layer: 'assembly', mayImport: BELOW_APPS },
  { layer: 'app', mayImport: [...BELOW_APPS, 'assembly'] },
  { layer: 'host', mayImport: [...BELOW_APPS, 'assembly', 'app', 'tool'] },
  { layer: 'test', mayImport: [...BELOW_APPS, 'assembly', 'test', 'tool'] },
  { layer: 'tool', mayImport: [...BELOW_APPS, 'tool'] },
];

/** Projects of these planes share those of plane `any`, and nothing with each other. */
export const PLANES: Readonly<Record<string, readonly string[]>> = {
  data: ['data', 'any'],
  control: ['control', 'any'],
};

/** Layers whose `plane:any` projects are themselves held to plane `any`; the others compose. */
export const HELD_TO_ANY: readonly string[] = [
  'core',
  'gen',
  'codec',
  'contract',
  'platform',
  'plugin',
];

/** The rows as `@nx/enforce-module-boundaries` wants them. */
export function depConstraints(forTests: boolean): object[] {
  const layer = (name: string) => `layer:${name}`;
  const plane = (name: string) => `plane:${name}`;
  const tests = forTests ? ['core', 'test', 'tool'] : [];
  return [
    ...BOUNDARIES.map((row) => ({
      sourceTag: layer(row.layer),
      onlyDependOnLibsWithTags: [...new Set([...row.mayImport, ...tests])].map(layer),
      ...(row.noThirdParty === true && !forTests ? { bannedExternalImports: ['*'] } : {}),
    })),
    // What a test may import is a matter of layers alone: the suites know every plane.
    ...(forTests ? [] : planeConstraints(layer, plane)),
  ];
}

function planeConstraints(layer: (name: string) => string, plane: (name: string) => string) {
  return [
    ...Object.entries(PLANES).map(([name, allowed]) => ({
      sourceTag: plane(name),
      onlyDependOnLibsWithTags: allowed.map(plane),
    })),
    ...HELD_TO_ANY.map((name) => ({
      allSourceTags: [layer(name), plane('any')],
      onlyDependOnLibsWithTags: [plane('any')],
    })),
  ];
}
