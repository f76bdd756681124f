// `npm run generate`: writes every generated file. A test fails where one is stale.
import { writeFile } from 'node:fs/promises';
import { generatedFiles, root } from './files.ts';

for (const { path, content } of generatedFiles()) await writeFile(new URL(path, root), content);
