/** One site in one process: the program behind `mesh dev`. */
import { runService } from '@eventmesh/lifecycle';
import { composeSite } from './scratch-compose.ts';
import { siteConfig } from './config.ts';

await runService({ name: 'site', config: siteConfig, create: composeSite });
