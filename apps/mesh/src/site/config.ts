import { httpAdapterConfig } from '@eventmesh/adapter-http';
import { integer, list, optional, secret, section, text, type ConfigOf } from '@eventmesh/config';
import { dataPlaneConfig } from '@eventmesh/emesher';
import { serviceConfig } from '@eventmesh/lifecycle';

/** A site in one process: all five services on embedded state, behind one gRPC server. */
export const siteConfig = section('A whole site in one process, as `mesh dev` runs it.', {
  ...serviceConfig(9090),
  dir: text('Folder of everything that is kept.'),
  http: httpAdapterConfig,
  neighbours: list(
    'Neighbouring sites. Each of the two has the other in its list.',
    section('A neighbouring site.', {
      site: text('Its name.'),
      address: text('host:port of its gRPC server.'),
      cost: integer('Cost of the link in this direction.', { min: 1, max: 65_535, default: 1 }),
    }),
  ),
  linkToken: optional(secret('Shared by neighbouring sites; needed for links.')),
  bootstrapFile: optional(text('Users and policies to begin with.')),
  dataPlane: section('The data plane.', dataPlaneConfig),
});

export type SiteConfig = ConfigOf<typeof siteConfig>;
