import manifest from '../package.json' with { type: 'json' }

/** This program's version (Semantic Versioning), as package.json says it. */
export const VERSION: string = manifest.version
