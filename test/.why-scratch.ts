import { loadConfig } from '/work/main/infrastructure/auditor/src/index.ts';
import { createLook } from '/work/main/infrastructure/auditor/src/quiet.ts';
import { openSources } from '/work/main/infrastructure/auditor/src/read/sources.ts';
import { startTestPlatform } from '/work/main/test/support/platform.ts';
import { createShop } from '/work/main/test/support/shop.ts';

const p = await startTestPlatform({ portOffset: 21_000 });
try {
  const shop = createShop(p.gatewayUrl);
  const alice = await shop.alice();
  const admin = await shop.admin();
  const id = await shop.createProduct(admin, 4, 1000);
  for (const pm of ['pm_card_chargeDeclined', 'pm_card_visa', 'pm_card_visa']) {
    const { body } = await shop.placeOrder(alice, { items: [{ productId: id, quantity: 3 }], paymentMethod: pm });
    const o = await shop.finalOrder(alice, body.id);
    console.log(o.status, o.cancelReason);
    if (pm !== 'pm_card_visa') while ((await shop.stockOf(id)) !== 4) await new Promise((r) => setTimeout(r, 50));
  }
  const look = createLook(await openSources(loadConfig(p.auditEnv)));
  const t0 = Date.now();
  for (let i = 0; i < 28; i++) {
    const l = await look();
    console.log(Date.now() - t0, l.handled, JSON.stringify(l.underWay));
    await new Promise((r) => setTimeout(r, 1500));
  }
  const { execSync } = await import('node:child_process');
  const dir = p.mailDir.replace(/mail$/, 'logs');
  console.log(
    execSync(`grep -hiE '"level":"(warn|error)"|warn|error' ${dir}/*service*.log | head -40 | cut -c1-600`).toString(),
  );
} finally {
  await p.stop();
}
process.exit(0);
