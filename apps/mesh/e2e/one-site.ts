import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AclAdminService } from '@eventmesh/proto-gen/acl';
import { DeadLetterService } from '@eventmesh/proto-gen/deadletter';
import { GovernanceService } from '@eventmesh/proto-gen/governance';
import { ScheduledEventService } from '@eventmesh/proto-gen/publisher';
import { createClient, grpcTransport, type Transport } from '@eventmesh/rpc';
import { MeshClient, type EventView } from '@eventmesh/sdk';
import { HttpClient } from '../src/cli/http-client.ts';
import { loadIdentity, type Identity } from '../src/dev/identity.ts';
import { parseMetrics, total } from '../src/dev/metrics-text.ts';
import { lastingPort } from './faults/ports.ts';
import { ServiceProcess } from './faults/service-process.ts';

const MAIN = join(import.meta.dirname, '../src/site/main.ts');

type User = 'admin' | 'publisher' | 'subscriber';

/** A whole site in a process of its own, which a test kills and starts again on the same folder. */
export class OneSite {
  readonly process: ServiceProcess;
  readonly #identity: Identity;
  readonly #ports: { readonly http: number; readonly grpc: number; readonly admin: number };
  readonly #open: { close(): void }[] = [];

  private constructor(
    process: ServiceProcess,
    identity: Identity,
    ports: { http: number; grpc: number; admin: number },
  ) {
    this.process = process;
    this.#identity = identity;
    this.#ports = ports;
  }

  static async start(dir: string, dataPlane: object = {}): Promise<OneSite> {
    const identity = loadIdentity(dir);
    const ports = {
      http: await lastingPort(),
      grpc: await lastingPort(),
      admin: await lastingPort(),
    };
    const folder = join(dir, 'west');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, 'site.json');
    const config = {
      site: 'west',
      dir: folder,
      dataPlane,
      bootstrapFile: identity.bootstrapFile,
      http: { port: ports.http },
      grpc: { port: ports.grpc },
      admin: { port: ports.admin },
    };
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    const site = new OneSite(new ServiceProcess('west', [MAIN, '--config', file]), identity, ports);
    await site.process.start();
    return site;
  }

  get grpcPort(): number {
    return this.#ports.grpc;
  }

  /** The management surface, for the administrator. */
  get management(): HttpClient {
    return new HttpClient(this.http, this.authorization('admin'));
  }

  get http(): string {
    return `http://127.0.0.1:${this.#ports.http}`;
  }

  authorization(user: User): string {
    const pair = `${user}:${this.#identity.users[user] ?? ''}`;
    return `Basic ${Buffer.from(pair).toString('base64')}`;
  }

  /** For the command line. */
  flags(user: User): string[] {
    const password = this.#identity.users[user] ?? '';
    return ['--grpc', `127.0.0.1:${this.#ports.grpc}`, '--user', `${user}:${password}`];
  }

  client(user: User, port = this.#ports.grpc): MeshClient {
    const password = this.#identity.users[user] ?? '';
    const client = new MeshClient({ address: `127.0.0.1:${port}`, user, password });
    this.#open.push(client);
    return client;
  }

  get governance() {
    return createClient(GovernanceService, this.#transport('admin'));
  }

  get acl() {
    return createClient(AclAdminService, this.#transport('admin'));
  }

  get deadLetters() {
    return createClient(DeadLetterService, this.#transport('admin'));
  }

  get scheduled() {
    return createClient(ScheduledEventService, this.#transport('admin'));
  }

  /** Kills it as a power cut would and starts it again. */
  async crash(): Promise<void> {
    await this.process.kill();
    await this.process.start();
  }

  /** The sum of a metric's samples with these labels. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${this.#ports.admin}/metrics`);
    return total(parseMetrics(await response.text()), name, labels);
  }

  /** Every event of a topic that is stored, up to one with the id `until`. */
  async stored(topic: string, until: string): Promise<EventView[]> {
    const client = this.client('subscriber');
    const stop = new AbortController();
    const found: EventView[] = [];
    const spec = {
      name: `stored-${randomUUID()}`,
      topicFilters: [topic],
      start: { kind: 'earliest' } as const,
    };
    const subscription = client.subscribe({ subscription: spec, signal: stop.signal });
    for await (const delivery of subscription) {
      delivery.accept();
      if (delivery.event.id === until) break;
      found.push(delivery.event);
    }
    stop.abort();
    return found;
  }

  async stop(): Promise<void> {
    for (const open of this.#open.splice(0)) open.close();
    await this.process.kill();
  }

  #transport(user: User): Transport {
    const authorization = this.authorization(user);
    const transport = grpcTransport({
      address: `127.0.0.1:${this.#ports.grpc}`,
      metadata: () => ({ authorization }),
    });
    this.#open.push(transport);
    return transport;
  }
}
