import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorSetSchema,
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  type ServiceDescriptorProto,
} from '@bufbuild/protobuf/wkt';
import { WORKSPACE } from './load.ts';
import { code, page, table } from './markdown.ts';

const ABOUT = `The gRPC API, from the comments of \`proto/\`. Every server also answers
\`grpc.health.v1\` and reflection. Calls carry the caller's credential in the metadata
\`authorization\`: \`Basic\` with user and password, or \`Bearer\` with an API key or a JWT. Errors are
described in [errors.md](errors.md).

A caller without valid credentials is refused before its message is read. The first message of a
call must come whole within \`grpc.firstMessage\` (10 s), else DEADLINE_EXCEEDED; a publish stream,
which is told its window first, and every stream that has begun may be idle. A connection has at
most \`grpc.streamsMax\` calls open (1,000); clients keep further ones until there is room.`;

/** Comments by the path of what they belong to (descriptor.proto, SourceCodeInfo). */
type Comments = ReadonlyMap<string, string>;

export function grpcPage(): string {
  const buf = join(WORKSPACE, 'node_modules/.bin/buf');
  const image = execFileSync(buf, ['build', '--as-file-descriptor-set', '-o', '-'], {
    cwd: WORKSPACE,
    maxBuffer: 64 * 1024 * 1024,
  });
  // eventmesh.wire.v1 is how our own services read the same bytes; nobody calls it.
  const files = fromBinary(FileDescriptorSetSchema, image).file.filter(
    (file) => file.package.startsWith('eventmesh.') && !file.package.startsWith('eventmesh.wire.'),
  );
  files.sort((a, b) => (a.package < b.package ? -1 : 1));
  return page('gRPC API', ABOUT, files.flatMap(fileSections));
}

function fileSections(file: FileDescriptorProto): string[] {
  const comments = commentsOf(file);
  // The comment above `syntax` (field 12) is about the file.
  const sections = [`## ${file.package}`, comments.get('12') ?? ''];
  file.service.forEach((service, index) => {
    sections.push(...serviceSections(service, comments, `6.${index}`));
  });
  file.messageType.forEach((message, index) => {
    sections.push(...messageSections(message, comments, `4.${index}`, message.name, file.package));
  });
  file.enumType.forEach((values, index) => {
    sections.push(...enumSections(values, comments, `5.${index}`, values.name));
  });
  return sections.filter((section) => section !== '');
}

function commentsOf(file: FileDescriptorProto): Comments {
  const comments = new Map<string, string>();
  for (const location of file.sourceCodeInfo?.location ?? []) {
    const detached = location.leadingDetachedComments.at(-1) ?? '';
    const text = location.leadingComments || (location.path.join('.') === '12' ? detached : '');
    const lines = text.split('\n').map((line) => line.replace(/^ /, ''));
    if (text !== '') comments.set(location.path.join('.'), lines.join('\n').trim());
  }
  return comments;
}

function serviceSections(
  service: ServiceDescriptorProto,
  comments: Comments,
  path: string,
): string[] {
  const rows = service.method.map((method, index) => [
    code(method.name),
    `${method.clientStreaming ? 'stream ' : ''}${shortType(method.inputType)}`,
    `${method.serverStreaming ? 'stream ' : ''}${shortType(method.outputType)}`,
    comments.get(`${path}.2.${index}`) ?? '',
  ]);
  return [
    `### service ${service.name}`,
    comments.get(path) ?? '',
    table(['call', 'request', 'response', 'what'], rows),
  ];
}

function messageSections(
  message: DescriptorProto,
  comments: Comments,
  path: string,
  name: string,
  scope: string,
): string[] {
  // Map entries are shown as the type of their field.
  if (message.options?.mapEntry === true) return [];
  const rows = message.field.map((field, index) => [
    String(field.number),
    code(field.name),
    typeText(field, message, scope),
    comments.get(`${path}.2.${index}`) ?? '',
  ]);
  const nested = message.nestedType.flatMap((inner, index) =>
    messageSections(inner, comments, `${path}.3.${index}`, `${name}.${inner.name}`, scope),
  );
  const enums = message.enumType.flatMap((inner, index) =>
    enumSections(inner, comments, `${path}.4.${index}`, `${name}.${inner.name}`),
  );
  return [
    `### ${name}`,
    comments.get(path) ?? '',
    rows.length === 0 ? 'No fields.' : table([':no', 'field', 'type', 'what'], rows),
    ...nested,
    ...enums,
  ];
}

function enumSections(
  values: EnumDescriptorProto,
  comments: Comments,
  path: string,
  name: string,
): string[] {
  const rows = values.value.map((value, index) => [
    String(value.number),
    code(value.name),
    comments.get(`${path}.2.${index}`) ?? '',
  ]);
  return [`### enum ${name}`, comments.get(path) ?? '', table([':no', 'value', 'what'], rows)];
}

function typeText(field: FieldDescriptorProto, message: DescriptorProto, scope: string): string {
  const entry = message.nestedType.find(
    (inner) => inner.options?.mapEntry === true && field.typeName.endsWith(`.${inner.name}`),
  );
  if (entry !== undefined) {
    const [key, value] = entry.field.map((inner) => typeText(inner, entry, scope));
    return `map of ${key} to ${value}`;
  }
  const base = baseType(field, scope);
  const oneof = field.oneofIndex === undefined ? undefined : message.oneofDecl[field.oneofIndex];
  const suffix = oneof === undefined || field.proto3Optional ? '' : ` (one of ${oneof.name})`;
  return `${field.label === Label.REPEATED ? 'repeated ' : ''}${base}${suffix}`;
}

function baseType(field: FieldDescriptorProto, scope: string): string {
  if (field.typeName !== '') return field.typeName.replace(`.${scope}.`, '').replace(/^\./, '');
  return Type[field.type].toLowerCase();
}

const shortType = (typeName: string): string => typeName.split('.').at(-1) ?? typeName;
