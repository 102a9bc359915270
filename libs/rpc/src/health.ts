import { toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { DescFile } from '@bufbuild/protobuf';
import { MeshError } from '@eventmesh/errors';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@eventmesh/proto-gen/health';
import { ServerReflection } from '@eventmesh/proto-gen/reflection';
import { pause } from '@eventmesh/time';
import type { Router, ServiceImpl } from './service.ts';

/** Strangers may call these services; no request of theirs is as long as this. */
const OPEN = { messageBytesMax: 64 * 1024 };

/** Adds grpc.health.v1 and grpc.reflection.v1 to a router; call it after the other services. */
export function addStandardServices(router: Router, ready: () => boolean): void {
  addHealth(router, ready);
  addReflection(router);
}

function addHealth(router: Router, ready: () => boolean): void {
  const status = (service: string) => {
    if (service !== '' && !router.services.some((desc) => desc.typeName === service)) {
      return undefined;
    }
    return ready() ? Status.SERVING : Status.NOT_SERVING;
  };
  const impl: ServiceImpl<typeof Health> = {
    async check({ service }) {
      const found = status(service);
      if (found === undefined) throw new MeshError('NotFound', `no service "${service}" here`);
      return { status: found };
    },
    async *watch({ service }, ctx) {
      let told: number | undefined;
      while (!ctx.signal.aborted) {
        const now = ctx.draining.aborted
          ? Status.NOT_SERVING
          : (status(service) ?? Status.SERVICE_UNKNOWN);
        if (now !== told) yield { status: now };
        told = now;
        if (ctx.draining.aborted) return;
        await pause(1000, AbortSignal.any([ctx.signal, ctx.draining]));
      }
    },
  };
  router.service(Health, impl, OPEN);
}

function addReflection(router: Router): void {
  const impl: ServiceImpl<typeof ServerReflection> = {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        yield {
          validHost: request.host,
          originalRequest: request,
          messageResponse: reflect(router, request.messageRequest),
        };
      }
    },
  };
  router.service(ServerReflection, impl, OPEN);
}

function reflect(router: Router, request: { case?: string | undefined; value?: unknown }) {
  const files = allFiles(router);
  if (request.case === 'listServices') {
    const service = router.services.map(({ typeName }) => ({ name: typeName }));
    return { case: 'listServicesResponse' as const, value: { service } };
  }
  const wanted = String(request.value);
  const file =
    request.case === 'fileByFilename'
      ? files.get(wanted)
      : request.case === 'fileContainingSymbol'
        ? [...files.values()].find((candidate) => declares(candidate, wanted))
        : undefined;
  if (file === undefined) {
    const value = { errorCode: 5, errorMessage: `"${wanted}" is not known here` };
    return { case: 'errorResponse' as const, value };
  }
  const fileDescriptorProto = [toBinary(FileDescriptorProtoSchema, file.proto)];
  return { case: 'fileDescriptorResponse' as const, value: { fileDescriptorProto } };
}

function allFiles(router: Router): Map<string, DescFile> {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    if (files.has(file.proto.name)) return;
    files.set(file.proto.name, file);
    file.dependencies.forEach(add);
  };
  for (const service of router.services) add(service.file);
  return files;
}

function declares(file: DescFile, symbol: string): boolean {
  return [...file.services, ...file.messages, ...file.enums].some(
    ({ typeName }) => typeName === symbol || symbol.startsWith(`${typeName}.`),
  );
}
