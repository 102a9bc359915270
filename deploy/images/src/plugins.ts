import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Metafile, Plugin } from 'esbuild';

/**
 * lmdb finds its prebuilt binary by walking folders, which a bundle has not: it gets the one for
 * this machine from beside the bundle. msgpackr's accelerator, which it looks for and does without,
 * is left out. `beside` receives what to copy: name beside the bundle, and file or folder.
 */
export function nativeModules(beside: Map<string, string>): Plugin {
  return {
    name: 'native-modules',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^node-gyp-build-optional-packages$/ }, ({ importer }) => {
        if (!importer.includes(join('node_modules', 'lmdb'))) {
          return { errors: [{ text: `${importer} has a native module that is not bundled yet` }] };
        }
        beside.set('lmdb.node', lmdbBinary(importer));
        return { path: 'lmdb', namespace: 'native' };
      });
      onResolve({ filter: /^msgpackr-extract$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
      onResolve({ filter: /\.node$/, namespace: 'native' }, ({ path }) => ({
        path,
        external: true,
      }));
      onLoad({ filter: /.*/, namespace: 'native' }, ({ path }) => ({
        contents: `module.exports = () => require('./${path}.node');`,
        loader: 'js',
      }));
      onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({
        contents: `throw new Error('${path} is not in this image');`,
        loader: 'js',
      }));
    },
  };
}

/** Debian's C library is what the base image has; Node-API makes one binary fit every Node. */
function lmdbBinary(importer: string): string {
  const requireFrom = createRequire(importer);
  const entry = requireFrom.resolve(`@lmdb/lmdb-${process.platform}-${process.arch}`);
  return join(dirname(entry), 'node.napi.glibc.node');
}

const LOAD = '(0, proto_loader_1.loadSync)(`${__dirname}/../proto/rpc.proto`, ';

/** etcd3 reads its .proto files when it is loaded; the bundle carries what they say instead. */
export function etcd3Protos(): Plugin {
  return {
    name: 'etcd3-protos',
    setup({ onLoad }) {
      onLoad({ filter: /etcd3[/\\]lib[/\\]connection-pool\.js$/ }, ({ path }) => {
        const source = readFileSync(path, 'utf8');
        if (!source.includes(LOAD)) {
          return { errors: [{ text: `${path} does not load its .proto files as expected` }] };
        }
        const json = JSON.stringify(protoJson(join(dirname(path), '../proto/rpc.proto'), path));
        const contents = source.replace(LOAD, () => `(0, proto_loader_1.fromJSON)(${json}, `);
        return { contents, loader: 'js' };
      });
    },
  };
}

interface Protobuf {
  Root: new () => {
    loadSync(file: string, options: object): { resolveAll(): { toJSON(): object } };
  };
}

/** Parsed by the very protobufjs that etcd3's loader would use, with the loader's own option. */
function protoJson(file: string, importer: string): object {
  const loader = createRequire(importer).resolve('@grpc/proto-loader');
  const { Root } = createRequire(loader)('protobufjs') as Protobuf;
  return new Root().loadSync(file, { keepCase: true }).resolveAll().toJSON();
}

/**
 * ordered-binary, by which lmdb reads its keys, evaluates code that names its own variables. A
 * bundler renames the variables of ES modules where two packages use one name, and then that code
 * reads another package's: keys come out wrong, silently. Its CommonJS form stays a function of its
 * own, in which names are kept.
 */
export function evaluatingModules(): Plugin {
  return {
    name: 'evaluating-modules',
    setup({ onResolve }) {
      onResolve({ filter: /^ordered-binary$/ }, ({ path, importer }) => ({
        path: createRequire(importer).resolve(path),
      }));
    },
  };
}

/** A direct eval: not a method, not a part of a longer name, not the beginning of a text. */
const EVAL = /(?<![\w$.'"`])eval\(/;

/** ES modules in a bundle that evaluate code which may name their variables; must be none. */
export function evaluatingInputs({ inputs }: Metafile, root: string): string[] {
  return Object.entries(inputs)
    .filter(([, { format }]) => format === 'esm')
    .map(([file]) => file)
    .filter((file) => !file.includes(':') && EVAL.test(readFileSync(join(root, file), 'utf8')));
}

const STATIC = "path.join(__dirname, '..', 'static')";

/** The OpenAPI page's files lie in its package; the bundle looks for them in `static` beside it. */
export function openApiPage(beside: Map<string, string>): Plugin {
  return {
    name: 'openapi-page',
    setup({ onLoad }) {
      onLoad({ filter: /@fastify[/\\]swagger-ui[/\\]lib[/\\]routes\.js$/ }, ({ path }) => {
        const source = readFileSync(path, 'utf8');
        if (!source.includes(STATIC)) {
          return { errors: [{ text: `${path} does not look for its files as expected` }] };
        }
        beside.set('static', join(dirname(path), '../static'));
        const contents = source.replace(STATIC, "path.join(__dirname, 'static')");
        return { contents, loader: 'js' };
      });
    },
  };
}
