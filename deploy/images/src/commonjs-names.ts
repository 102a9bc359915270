/** What CommonJS packages in a bundle take for their own file: the bundle. */
export const __filename = import.meta.filename;
export const __dirname = import.meta.dirname;
