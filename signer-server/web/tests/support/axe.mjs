/** Accessibility checks by axe. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RUN = `axe.run(document, { resultTypes: ['violations'] }).then(({ violations, passes }) => ({
  passes: passes.length,
  violations: violations.map(({ id, nodes }) => [id, nodes.map((node) => node.target.join(' ') + ': ' + node.failureSummary)]),
}))`;

/** Violations that axe finds; it runs in a world of its own, which the page's policy does not bind. */
export async function violations(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
  const run = (expression, awaitPromise = false) => session.send('Runtime.evaluate', { expression, contextId, awaitPromise, returnByValue: true });
  await run(AXE);
  const { result, exceptionDetails } = await run(RUN, true);
  assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
  assert.ok(result.value.passes > 10);
  return result.value.violations;
}
